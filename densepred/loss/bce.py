"""Binary cross-entropy of each channel's sigmoid, plain or weighted."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from densepred.contracts import SummedLoss
from densepred.ops.loss.binary import BinaryBand, Scale, binary_sums
from densepred.ops.loss.labels import at_least_float32, class_values, per_class
from densepred.types import UserError


class BinaryCrossEntropy(SummedLoss):
    """-beta y log p - (1 - y) log(1 - p) of each channel against the rest, p its sigmoid; the mean over channels.

    With one channel the target is class 1 of 0 and 1. `pos_weight` is one number, or one per channel: the weight of
    pixels of the class. Above 1 gives fewer false negatives, below 1 fewer false positives; null is 1.
    """

    target = "classes"
    linear = True
    pos_weights: Tensor | None

    def __init__(self, pos_weight: float | Sequence[float] | None = None) -> None:
        super().__init__()
        single = isinstance(pos_weight, int | float)
        if single and not pos_weight > 0:
            raise UserError(
                f"loss.pos_weight: {pos_weight}; give a number above 0: above 1 fewer misses, below 1 fewer alarms"
            )
        self.pos_weight = pos_weight if single else None
        self.register_buffer(
            "pos_weights", None if single else class_values(pos_weight, "loss.pos_weight"), persistent=False
        )

    def positive(self, logits: Tensor) -> Tensor | None:
        """Return one weight per channel, (K,), for logits (B, K, H, W); None without `pos_weight`."""
        if self.pos_weight is None:
            return per_class(self.pos_weights, logits, "loss.pos_weight")
        return torch.full((logits.shape[1],), self.pos_weight, dtype=logits.dtype, device=logits.device)

    def statistics(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        logits = at_least_float32(pred)
        return binary_sums(logits, target, weight, Scale(self.positive(logits), unit=logits.shape[1]))

    def logit_band(self, logits: Tensor, target: Tensor, weight: Tensor | None = None) -> BinaryBand:
        return BinaryBand(logits, target, weight, Scale(self.positive(logits), unit=logits.shape[1]))
