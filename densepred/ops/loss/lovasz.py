"""The Lovasz extension of the Jaccard loss, https://arxiv.org/abs/1705.08790. N pixels in one row."""

from __future__ import annotations

import torch
from torch import Tensor

from densepred.ops.loss.labels import ratio
from densepred.ops.precise import WITHOUT


def lovasz_extension(errors: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """Return the loss of one class from errors, target (bool) and weights, each (N,).

    Where all errors are 0 or 1 it is 1 - intersection / union of the pixels' weights.
    """
    errors, order = errors.sort(descending=True, stable=True)
    return (errors * _steps(truth[order], weight[order])).sum()


@torch.no_grad()
def _steps(truth: Tensor, weight: Tensor) -> Tensor:
    """Return the increase of the Jaccard loss per pixel as pixels become wrong in this order, (N,)."""
    # Counts in float32 stop at 2^24 pixels.
    precise = weight if weight.device.type in WITHOUT else weight.double()
    inside = precise * truth
    left = inside.sum() - inside.cumsum(0)
    union = inside.sum() + (precise - inside).cumsum(0)
    lost = torch.where(union > 0, 1 - ratio(left, union), torch.zeros_like(union))
    return torch.diff(lost, prepend=lost.new_zeros(1)).to(weight.dtype)
