"""Penalty-reduced focal loss of heat maps with Gaussians around centers."""

from __future__ import annotations

from torch import Tensor

from densepred.contracts import SummedLoss
from densepred.nn import require_at_least_zero
from densepred.ops.loss.sigmoid_focal import penalty_reduced_focal, sums
from densepred.ops.loss.values import counted


class CenterFocal(SummedLoss):
    """CornerNet's loss (https://arxiv.org/abs/1808.01244) as CenterNet uses it (https://arxiv.org/abs/1904.07850).

    Only locations with a target of 1 are positive. Negatives near a center, where the target is near 1, cost little:
    their loss is multiplied by (1 - target)^beta. The sum is divided by the weights, 1 by default, of the positives in
    the batch, or by 1 without any.
    """

    target = "values"
    linear = True

    def __init__(self, alpha: float = 2.0, beta: float = 4.0) -> None:
        super().__init__()
        self.alpha, self.beta = require_at_least_zero(alpha, "loss.alpha"), require_at_least_zero(beta, "loss.beta")

    def statistics(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        logits, truth = counted(pred, target, weight)
        return sums(penalty_reduced_focal(logits, truth, self.alpha, self.beta), (truth >= 1).sum(1), weight)
