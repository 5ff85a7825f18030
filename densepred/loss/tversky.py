"""Tversky loss: overlap with weights for false positives and false negatives."""

from __future__ import annotations

from torch import Tensor

from densepred.nn import require_at_least_zero
from densepred.ops.loss.labels import at_least_float32
from densepred.ops.loss.overlap import OverlapTerm, overlap_sums, tversky_loss
from densepred.ops.loss.softmax import Probabilities, SoftmaxLoss, Term
from densepred.ops.resize.resample import two_channels


class Tversky(SoftmaxLoss):
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
        super().__init__()
        self.alpha, self.beta = require_at_least_zero(alpha, "loss.alpha"), require_at_least_zero(beta, "loss.beta")
        self.smooth, self.per_image, self.include_background, self.include_absent = (
            smooth,
            per_image,
            include_background,
            include_absent,
        )

    def statistics(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        return overlap_sums(two_channels(at_least_float32(pred)), target, weight)

    def terms(self, softmax: Probabilities) -> list[Term]:
        return [OverlapTerm(softmax)]

    def value(self, sums: Tensor) -> Tensor:
        which = (self.per_image, self.include_background, self.include_absent)
        return tversky_loss(sums, self.alpha, self.beta, self.smooth, *which, self.exponent)
