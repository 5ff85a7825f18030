"""Mean squared error of a head of values."""

from __future__ import annotations

from torch import Tensor

from densepred.contracts import SummedLoss
from densepred.ops.loss.values import differences, element_sums, known_normalise


class MeanSquaredError(SummedLoss):
    """Squared errors of every channel of every pixel that counts, divided by the sum of their weights.

    With `normalise="count"` they are divided by the number of all values, also of those with weight 0, such as the maps
    of hidden joints: so do HRNet's and SimpleBaseline's programs.
    """

    target = "values"
    linear = True

    def __init__(self, normalise: str = "weights") -> None:
        super().__init__()
        self.normalise = known_normalise(normalise)

    def statistics(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        difference, weight = differences(pred, target, weight)
        return element_sums(difference.square(), weight, self.normalise)
