"""Cross-entropy of every class against the rest."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from densepred.contracts import SummedLoss
from densepred.ops.loss.binary import BinaryBand, Scale, against_rest, binary_sums, known_activation
from densepred.ops.loss.labels import class_values, per_class


class OneAgainstRest(SummedLoss):
    """-sum_k w_k log q_k, q_k = p_k where k is the label and 1 - p_k elsewhere; the mean over pixels.

    p is the sigmoid of each channel, or the softmax of all of them. A softmax of one channel x is that of [0, x].
    """

    target = "classes"
    linear = True
    class_weights: Tensor | None

    def __init__(self, activation: str = "sigmoid", class_weights: Sequence[float] | None = None) -> None:
        super().__init__()
        self.activation = known_activation(activation)
        self.register_buffer("class_weights", class_values(class_weights, "loss.class_weights"), persistent=False)

    def statistics(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        logits = against_rest(pred, target, weight, self.activation)
        weights = per_class(self.class_weights, logits, "loss.class_weights")
        return binary_sums(logits, target, weight, Scale(weights, weights))

    def logit_band(self, logits: Tensor, target: Tensor, weight: Tensor | None = None) -> BinaryBand | None:
        if self.activation == "softmax":
            return None
        weights = per_class(self.class_weights, logits, "loss.class_weights")
        return BinaryBand(logits, target, weight, Scale(weights, weights))
