"""Binary cross-entropy of each channel's sigmoid, plain or weighted."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from densepred.contracts import SummedLoss
from densepred.ops.loss.binary import BinaryBand, binary_sums
from densepred.ops.loss.labels import at_least_float32, class_values, per_class, ratio
from densepred.types import UserError


class BinaryCrossEntropy(SummedLoss):
    """-beta y log p - (1 - y) log(1 - p) of each channel against the rest, p its sigmoid; the mean over channels.

    With one channel the truth is class 1 of 0 and 1. `beta` is one number, or one a channel: the weight of pixels of
    the class. Above 1 fewer of them are missed, below 1 fewer are invented; null is 1.
    """

    target = "classes"
    linear = True
    betas: Tensor | None

    def __init__(self, beta: float | Sequence[float] | None = None) -> None:
        super().__init__()
        single = isinstance(beta, int | float)
        if single and not beta > 0:
            raise UserError(f"loss.beta: {beta}; give a number above 0: above 1 fewer misses, below 1 fewer inventions")
        self.beta = beta if single else None
        self.register_buffer("betas", None if single else class_values(beta, "loss.beta"), persistent=False)

    def positive(self, logits: Tensor) -> Tensor | None:
        """One number a channel, for logits (B, K, H, W)."""
        if self.beta is None:
            return per_class(self.betas, logits, "loss.beta")
        return torch.full((logits.shape[1],), self.beta, dtype=logits.dtype, device=logits.device)

    def statistics(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        logits = at_least_float32(pred)
        return binary_sums(logits, target, weight, logits.shape[1], self.positive(logits))

    def logit_band(self, logits: Tensor, target: Tensor, weight: Tensor | None = None) -> BinaryBand:
        return BinaryBand(logits, target, weight, logits.shape[1], self.positive(logits))

    def value(self, sums: Tensor) -> Tensor:
        return ratio(sums[:, 0].sum(), sums[:, 1].sum())
