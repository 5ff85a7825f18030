"""Boxes as seen from points: the distances left, top, right, bottom to their sides, channels of (B, 4, ...)."""

from __future__ import annotations

import torch
from torch import Tensor


def generalised_iou(one: Tensor, two: Tensor) -> Tensor:
    """GIoU of the boxes around a point in common, (B, 4, ...) each -> (B, ...) in [-1, 1]. Negative distances are 0.

    Where both are empty it is 0 / tiny: 0, minus nothing of a hull.
    """
    one, two = one.clamp_min(0), two.clamp_min(0)
    both = _area(torch.minimum(one, two))
    union = _area(one) + _area(two) - both
    hull = _area(torch.maximum(one, two))
    tiny = torch.finfo(union.dtype).tiny
    return both / union.clamp_min(tiny) - (hull - union) / hull.clamp_min(tiny)


def centerness(distances: Tensor) -> Tensor:
    """How near the point is to the middle: 1 there, 0 at a side (arXiv 1904.01355). (B, 4, ...) -> (B, ...)."""
    across, down = distances[:, ::2], distances[:, 1::2]
    tiny = torch.finfo(distances.dtype).tiny
    shares = [pair.amin(1) / pair.amax(1).clamp_min(tiny) for pair in (across, down)]
    return (shares[0] * shares[1]).clamp_min(0).sqrt()


def _area(distances: Tensor) -> Tensor:
    left, top, right, bottom = distances.unbind(1)
    return (left + right) * (top + bottom)
