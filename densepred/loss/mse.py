"""Mean squared error of a head of values."""

from __future__ import annotations

from torch import Tensor

from densepred.contracts import SummedLoss
from densepred.ops.loss.values import differences, element_sums


class MeanSquaredError(SummedLoss):
    """Squared errors of every channel of every pixel that counts, divided by the sum of their weights."""

    target = "values"
    linear = True

    def statistics(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        difference, weight = differences(pred, target, weight)
        return element_sums(difference.square(), weight)
