"""Sums over the errors of a head that regresses. B images, C channels, H x W pixels."""

from __future__ import annotations

import torch
from torch import Tensor

from densepred.ops.loss.labels import aligned, at_least_float32
from densepred.ops.loss.left_out import leave_out


def counted(pred: Tensor, target: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return prediction and target, (B, C, H, W) in at least float32, both 0 where the weight is 0 (even if NaN)."""
    pred = at_least_float32(pred)
    target = target.to(pred.dtype)
    if weight is None:
        return pred, target
    counts = aligned(weight, target) != 0
    return leave_out(pred, counts), leave_out(target, counts)


def differences(pred: Tensor, target: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return prediction - target, 0 where the weight is 0 (even if NaN), and the weights, both (B, C, H, W)."""
    pred = at_least_float32(pred)
    if weight is None:
        return pred - target.to(pred.dtype), torch.ones_like(pred)
    weight = aligned(weight, target).to(pred.dtype)
    return (pred - target.to(pred.dtype)).masked_fill(weight == 0, 0), weight


def element_sums(errors: Tensor, weight: Tensor) -> Tensor:
    """Return the weighted errors and the weights, summed per image: (B, 2)."""
    return torch.stack([(errors * weight).flatten(1).sum(1), weight.flatten(1).sum(1)], 1)
