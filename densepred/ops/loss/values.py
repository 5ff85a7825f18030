"""Sums over the errors of a head that regresses. B images, C channels, H x W pixels."""

from __future__ import annotations

import torch
from torch import Tensor

from densepred.ops.loss.labels import aligned, at_least_float32
from densepred.ops.loss.left_out import leave_out
from densepred.types import UserError

NORMALISE = ("weights", "count")


def known_normalise(name: str) -> str:
    """Return the name of a divisor of a mean, the sum of the weights or the number of values; raise UserError."""
    if name not in NORMALISE:
        raise UserError(f"loss.normalise: {name}; choose one of {', '.join(NORMALISE)}")
    return name


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


def element_sums(errors: Tensor, weight: Tensor, normalise: str = "weights") -> Tensor:
    """Return the weighted errors and the weights, or with "count" the number of values, summed per image: (B, 2).

    An image in which nothing counts has a row of zeros.
    """
    whole, each = weight.flatten(1).sum(1), errors.flatten(1)
    if normalise == "count":
        whole = (whole > 0) * whole.new_tensor(each.shape[1])
    return torch.stack([(errors * weight).flatten(1).sum(1), whole], 1)
