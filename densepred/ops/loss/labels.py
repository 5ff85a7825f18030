"""Class maps for losses: labels and weights of pixels that count, and sums over the pixels of each class.

B images, K classes, H x W pixels. Everything here is in at least float32, also under autocast.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from densepred.ops.loss.left_out import leave_out
from densepred.types import VOID, UserError


def at_least_float32(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))


def counting(target: Tensor, weight: Tensor | None, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return labels as int64 and weights in `dtype`, (B, H, W), both 0 where the class map is void."""
    known = target != VOID
    labels = target.to(torch.int64, copy=True).mul_(known)
    return labels, known.to(dtype) if weight is None else known * weight.to(dtype)


def counted(logits: Tensor, target: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Return the logits (B, K, H, W), 0 where they do not count even if they are NaN, and the result of `counting`."""
    labels, weight = counting(target, weight, logits.dtype)
    return leave_out(logits, ((target != VOID) & (weight != 0))[:, None]), labels, weight


def one_hot(labels: Tensor, classes: int) -> Tensor:
    """Return labels (B, H, W) as (B, K, H, W) bool."""
    return labels[:, None] == torch.arange(classes, device=labels.device)[:, None, None]


def sum_by_label(values: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Return the sum of values (B, H, W) over the pixels of each class, (B, K), without a gradient."""
    images = len(labels)
    index = labels.flatten(1) + torch.arange(0, images * classes, classes, device=labels.device)[:, None]
    if values.device.type == "cpu":
        # Double weights, because bincount adds one after the other.
        total = torch.bincount(index.flatten(), values.flatten().double(), images * classes)
    else:
        # bincount with weights has no deterministic form on a GPU; scatter_add_ on one axis has.
        total = values.new_zeros(images * classes).scatter_add_(0, index.flatten(), values.flatten())
    return total.view(images, classes).to(values.dtype)


def ratio(part: Tensor, whole: Tensor) -> Tensor:
    """Return part / whole, and `part` where the whole is 0: sums over no pixel give 0 and finite gradients."""
    return part / torch.where(whole > 0, whole, torch.ones_like(whole))


def aligned(weight: Tensor, target: Tensor) -> Tensor:
    """Return a weight (B, H, W), or broadcastable to the target, as a view in the shape of the target."""
    if weight.ndim == 3 and target.ndim == 4:
        weight = weight[:, None]
    return weight.expand(target.shape)


def class_values(values: Sequence[float] | None, key: str) -> Tensor | None:
    """Return one number per class, (K,) float32, from YAML; raise UserError if they make no weights."""
    if values is None:
        return None
    if isinstance(values, str):
        raise UserError(f"{key}: {values!r} is not known here; give one number per class, or null")
    numbers = torch.tensor([float(value) for value in values])
    if not (numbers.isfinite() & (numbers >= 0)).all() or not numbers.any():
        raise UserError(f"{key}: {list(values)}; give one finite number per class, none negative, not all 0")
    return numbers


def per_class(values: Tensor | None, logits: Tensor, key: str) -> Tensor | None:
    """Return the values, (K,), in the dtype of logits (B, K, H, W); raise UserError if K differs."""
    if values is None:
        return None
    classes = logits.shape[1]
    if len(values) != classes:
        raise UserError(f"{key} has values: {len(values)}, classes: {classes}; give one value per class")
    return values.to(logits.dtype)


def scaled(weight: Tensor, values: Tensor | None, labels: Tensor) -> Tensor:
    """Return the weight of each pixel times the value of its class; `weight` itself if `values` is None."""
    return weight if values is None else weight * values[labels]
