"""Mean squared error of a head of values."""

from __future__ import annotations

from torch import Tensor

from densepred.contracts import SummedLoss
from densepred.ops.loss.labels import ratio
from densepred.ops.loss.values import differences, element_sums


class MeanSquaredError(SummedLoss):
    """Over every channel of every pixel that counts, divided by the sum of their weights."""

    target = "values"
    linear = True

    def statistics(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        difference, weight = differences(pred, target, weight)
        return element_sums(difference.square(), weight)

    def value(self, sums: Tensor) -> Tensor:
        return ratio(sums[:, 0].sum(), sums[:, 1].sum())
