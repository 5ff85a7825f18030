"""Tversky loss: overlap with weights for false positives and false negatives."""

from __future__ import annotations

from torch import Tensor

from densepred.nn import require_at_least_zero
from densepred.ops.loss.overlap import OverlapLoss, tversky_loss


class Tversky(OverlapLoss):
    """1 - mean over classes of (I + smooth) / (I + alpha FP + beta FN + smooth), https://arxiv.org/abs/1706.05721.

    alpha weights false positives, beta false negatives: both 0.5 is Dice (with twice the smooth), both 1 Jaccard.
    Classes count as in Dice.
    """

    exponent = 1.0

    def __init__(
        self,
        alpha: float = 0.3,
        beta: float = 0.7,
        smooth: float = 1.0,
        per_image: bool = False,
        include_background: bool = True,
        include_absent: bool = False,
    ) -> None:
        super().__init__(smooth, per_image, include_background, include_absent)
        self.alpha, self.beta = require_at_least_zero(alpha, "loss.alpha"), require_at_least_zero(beta, "loss.beta")

    def value(self, sums: Tensor) -> Tensor:
        return tversky_loss(sums, self.alpha, self.beta, self.smooth, *self.which, self.exponent)
