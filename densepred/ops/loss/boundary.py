"""Boundary loss as sums over pixels. B images, K classes."""

from __future__ import annotations

import torch
from torch import Tensor

from densepred.ops.loss.labels import counting, one_hot


def boundary_sums(logits: Tensor, target: Tensor, weight: Tensor | None, distance: Tensor, background: bool) -> Tensor:
    """(B, 2): sums of (softmax - truth) * distance over pixels and classes, and of weights. Distances (B, K, H, W)."""
    first = 0 if background else 1
    labels, weight = counting(target, weight, logits.dtype)
    truth = one_hot(labels, logits.shape[1])[:, first:]
    gone = (logits.softmax(1)[:, first:] - truth.to(logits.dtype)) * distance[:, first:]
    return torch.stack([(gone.sum(1) * weight).sum((1, 2)), truth.shape[1] * weight.sum((1, 2))], 1)
