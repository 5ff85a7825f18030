"""Boxes as distances from a point to their sides: left, top, right, bottom, the channels of (B, 4, ...)."""

from __future__ import annotations

import torch
from torch import Tensor


def generalised_iou(one: Tensor, two: Tensor) -> Tensor:
    """Compute the GIoU of boxes around a common point: two (B, 4, ...) -> (B, ...) in [-1, 1] (arXiv 1902.09630).

    Negative distances count as 0. Two empty boxes have a GIoU of 0.
    """
    one, two = one.clamp_min(0), two.clamp_min(0)
    both = _area(torch.minimum(one, two))
    union = _area(one) + _area(two) - both
    hull = _area(torch.maximum(one, two))
    tiny = torch.finfo(union.dtype).tiny
    return both / union.clamp_min(tiny) - (hull - union) / hull.clamp_min(tiny)


def centerness(distances: Tensor) -> Tensor:
    """Compute centerness (arXiv 1904.01355), 1 at the center, 0 at a side: (B, 4, ...) -> (B, ...)."""
    across, down = distances[:, ::2], distances[:, 1::2]
    tiny = torch.finfo(distances.dtype).tiny
    shares = [pair.amin(1) / pair.amax(1).clamp_min(tiny) for pair in (across, down)]
    return (shares[0] * shares[1]).clamp_min(0).sqrt()


def _area(distances: Tensor) -> Tensor:
    left, top, right, bottom = distances.unbind(1)
    return (left + right) * (top + bottom)
