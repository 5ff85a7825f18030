"""Focal loss of sigmoids, over the number of positive locations: the classes of dense detectors."""

from __future__ import annotations

from torch import Tensor

from densepred.contracts import SummedLoss
from densepred.nn import require_at_least_zero, require_fraction
from densepred.ops.loss.sigmoid_focal import sigmoid_focal, sums
from densepred.ops.loss.values import counted


class SigmoidFocal(SummedLoss):
    """alpha_t (1 - p_t)^gamma (-log p_t) of every channel and location, https://arxiv.org/abs/1708.02002.

    The target is 1 in the channel of a location's class, else 0. The sum is divided by the weights, 1 by default, of
    the locations with a class in the batch, or by 1 without any. Easy background is everywhere and must not dilute the
    mean.
    """

    target = "values"
    linear = True

    def __init__(self, gamma: float = 2.0, alpha: float | None = 0.25) -> None:
        super().__init__()
        self.gamma = require_at_least_zero(gamma, "loss.gamma")
        self.alpha = None if alpha is None else require_fraction(alpha, "loss.alpha")

    def statistics(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        logits, truth = counted(pred, target, weight)
        return sums(sigmoid_focal(logits, truth, self.alpha, self.gamma), truth.amax(1), weight)
