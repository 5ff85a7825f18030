"""Generalised Dice loss: one Dice of all classes, where small ones weigh as much as large ones."""

from __future__ import annotations

from torch import Tensor

from densepred.nn import require_at_least_zero
from densepred.ops.loss.labels import at_least_float32
from densepred.ops.loss.overlap import OverlapTerm, generalised_dice_loss, overlap_sums
from densepred.ops.loss.softmax import Probabilities, SoftmaxLoss, Term
from densepred.ops.resize.resample import two_channels


class GeneralisedDice(SoftmaxLoss):
    """1 - 2 sum_c w_c I_c / sum_c w_c (P_c + T_c), w_c = 1 / T_c^power, https://arxiv.org/abs/1707.03237.

    Power 2 is the paper's, 1 is milder, 0 weights pixels equally. A class without a pixel in the ground truth is left
    out; with `include_absent` it has the largest weight of the others.
    """

    def __init__(
        self, power: float = 2.0, per_image: bool = False, include_background: bool = True, include_absent: bool = False
    ) -> None:
        super().__init__()
        self.power = require_at_least_zero(power, "loss.power")
        self.per_image, self.include_background, self.include_absent = per_image, include_background, include_absent

    def statistics(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        return overlap_sums(two_channels(at_least_float32(pred)), target, weight)

    def terms(self, softmax: Probabilities) -> list[Term]:
        return [OverlapTerm(softmax)]

    def value(self, sums: Tensor) -> Tensor:
        return generalised_dice_loss(sums, self.power, self.per_image, self.include_background, self.include_absent)
