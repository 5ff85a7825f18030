"""Boundary loss as sums over pixels. B images, K classes."""

from __future__ import annotations

import torch
from torch import Tensor

from densepred.ops.loss.labels import counted, one_hot


def boundary_sums(logits: Tensor, target: Tensor, weight: Tensor | None, distance: Tensor, background: bool) -> Tensor:
    """Return the sums of (softmax - target) * distance and of weights over pixels and classes, (B, 2).

    logits, distance: (B, K, H, W); distances in pixels, negative inside (arXiv 1812.07032)
    target, weight: (B, H, W)
    """
    first = 0 if background else 1
    logits, labels, weight = counted(logits, target, weight)
    truth = one_hot(labels, logits.shape[1])[:, first:]
    gone = (logits.softmax(1)[:, first:] - truth.to(logits.dtype)) * distance[:, first:]
    return torch.stack([(gone.sum(1) * weight).sum((1, 2)), truth.shape[1] * weight.sum((1, 2))], 1)
