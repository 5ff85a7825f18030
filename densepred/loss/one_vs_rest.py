"""Cross-entropy of every class against the rest."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from densepred.contracts import SummedLoss
from densepred.ops.loss.binary import BinaryBand, binary_sums, softmax_against_rest
from densepred.ops.loss.labels import at_least_float32, class_values, counted, per_class
from densepred.ops.resize.resample import two_channels
from densepred.types import UserError

ACTIVATIONS = ("sigmoid", "softmax")


class OneAgainstRest(SummedLoss):
    """-sum_k w_k log q_k, q_k = p_k where k is the label and 1 - p_k elsewhere; the mean over pixels.

    p is the sigmoid of each channel, or the softmax of all of them. A softmax of one channel x is that of [0, x].
    """

    target = "classes"
    linear = True
    class_weights: Tensor | None

    def __init__(self, activation: str = "sigmoid", class_weights: Sequence[float] | None = None) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise UserError(f"loss.activation: {activation}; choose one of {', '.join(ACTIVATIONS)}")
        self.activation = activation
        self.register_buffer("class_weights", class_values(class_weights, "loss.class_weights"), persistent=False)

    def statistics(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        logits = at_least_float32(pred)
        if self.activation == "softmax":
            logits = counted(logits, target, weight)[0]
            # The odds of a class against the rest, so that both kinds of probabilities are sigmoids.
            logits = softmax_against_rest(two_channels(logits))
        weights = per_class(self.class_weights, logits, "loss.class_weights")
        return binary_sums(logits, target, weight, 1, weights, weights)

    def logit_band(self, logits: Tensor, target: Tensor, weight: Tensor | None = None) -> BinaryBand | None:
        if self.activation == "softmax":
            return None
        weights = per_class(self.class_weights, logits, "loss.class_weights")
        return BinaryBand(logits, target, weight, 1, weights, weights)
