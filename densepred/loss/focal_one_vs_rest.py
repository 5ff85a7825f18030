"""Focal loss of every class against the rest."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from densepred.contracts import SummedLoss
from densepred.nn import require_at_least_zero, require_fraction
from densepred.ops.loss.binary import Scale, against_rest, binary_sums, known_activation
from densepred.ops.loss.labels import class_values, per_class


class FocalOneAgainstRest(SummedLoss):
    """alpha_k (1 - q_k)^gamma (-log q_k), https://arxiv.org/abs/1708.02002; the mean over classes and pixels.

    q_k is the probability p_k of class k where k is the label and 1 - p_k elsewhere; `alpha` weighs the first kind of
    pixels, 1 - alpha the second. p is the sigmoid of each channel, or the softmax of all of them.
    """

    target = "classes"
    linear = True
    alphas: Tensor | None

    def __init__(
        self, gamma: float = 2.0, alpha: float | Sequence[float] | None = None, activation: str = "sigmoid"
    ) -> None:
        super().__init__()
        self.gamma = require_at_least_zero(gamma, "loss.gamma")
        self.activation = known_activation(activation)
        single = isinstance(alpha, int | float)
        self.alpha = require_fraction(alpha, "loss.alpha") if single else None
        alphas = None if single else class_values(alpha, "loss.alpha")
        for value in [] if alphas is None else alphas.tolist():
            require_fraction(value, "loss.alpha")
        self.register_buffer("alphas", alphas, persistent=False)

    def scale(self, logits: Tensor) -> Scale:
        """Return the weights of the class and of the rest for logits (B, K, H, W)."""
        alphas = per_class(self.alphas, logits, "loss.alpha")
        if self.alpha is not None:
            alphas = logits.new_full((logits.shape[1],), self.alpha)
        both = (None, None) if alphas is None else (alphas, 1 - alphas)
        return Scale(*both, unit=logits.shape[1])

    def statistics(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        logits = against_rest(pred, target, weight, self.activation)
        return binary_sums(logits, target, weight, self.scale(logits), self.gamma)
