"""Generalised Dice loss: one Dice of all classes, where small ones weigh as much as large ones."""

from __future__ import annotations

from torch import Tensor

from densepred.nn import require_at_least_zero
from densepred.ops.loss.overlap import OverlapLoss, generalised_dice_loss


class GeneralisedDice(OverlapLoss):
    """1 - 2 sum_c w_c I_c / sum_c w_c (P_c + T_c), w_c = 1 / T_c^power, https://arxiv.org/abs/1707.03237.

    Power 2 is the paper's, 1 is milder, 0 weights pixels equally. A class without a pixel in the ground truth is left
    out; with `include_absent` it has the largest weight of the others.
    """

    def __init__(
        self, power: float = 2.0, per_image: bool = False, include_background: bool = True, include_absent: bool = False
    ) -> None:
        super().__init__(0.0, per_image, include_background, include_absent)
        self.power = require_at_least_zero(power, "loss.power")

    def value(self, sums: Tensor) -> Tensor:
        return generalised_dice_loss(sums, self.power, *self.which)
