"""Boundary loss: the distance between the predicted boundary and that of the ground truth."""

from __future__ import annotations

from torch import Tensor

from densepred.contracts import SummedLoss
from densepred.ops.loss.boundary import boundary_sums
from densepred.ops.loss.labels import at_least_float32
from densepred.ops.resize.resample import two_channels


class Boundary(SummedLoss):
    """The mean over classes and pixels of (softmax - target) times the distance to the boundary of the class.

    https://arxiv.org/abs/1812.07032, with the term of the ground truth that the paper drops as constant: so a perfect
    prediction costs 0. Distances are in pixels of the input, negative inside.
    """

    target = "classes"
    linear = True
    distance = True

    def __init__(self, include_background: bool = True) -> None:
        super().__init__()
        self.include_background = include_background

    def statistics(
        self, pred: Tensor, target: Tensor, weight: Tensor | None = None, distance: Tensor | None = None
    ) -> Tensor:
        assert distance is not None, "a loss with `distance` must get the distances from the task"
        return boundary_sums(two_channels(at_least_float32(pred)), target, weight, distance, self.include_background)

    def forward(
        self, pred: Tensor, target: Tensor, weight: Tensor | None = None, distance: Tensor | None = None
    ) -> Tensor:
        return self.value(self.statistics(pred, target, weight, distance))
