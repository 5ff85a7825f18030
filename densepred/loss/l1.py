"""Absolute error of a head of values, optionally smooth near 0."""

from __future__ import annotations

from torch import Tensor

from densepred.contracts import SummedLoss
from densepred.nn import require_at_least_zero
from densepred.ops.loss.values import differences, element_sums


class AbsoluteError(SummedLoss):
    """The smooth_l1_loss of torch.nn.functional: difference^2 / (2 beta) below beta, |difference| - beta / 2 above it.

    The sum over every channel of every pixel that counts is divided by the sum of their weights.
    """

    target = "values"
    linear = True

    def __init__(self, beta: float = 0.0) -> None:
        super().__init__()
        self.beta = require_at_least_zero(beta, "loss.beta")

    def statistics(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        difference, weight = differences(pred, target, weight)
        error = difference.abs()
        if self.beta:
            error = (error - self.beta / 2).where(error >= self.beta, difference.square() / (2 * self.beta))
        return element_sums(error, weight)
