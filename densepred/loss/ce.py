"""Cross-entropy over the classes of a softmax."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from densepred.nn import require_fraction
from densepred.ops.loss.cross_entropy import CrossEntropyTerm, cross_entropy_sums
from densepred.ops.loss.labels import at_least_float32, class_values, per_class
from densepred.ops.loss.softmax import Probabilities, SoftmaxLoss, Term
from densepred.ops.resize.resample import two_channels


class CrossEntropy(SoftmaxLoss):
    """Cross-entropy as in torch.nn.functional: the mean divides by the sum of the weights of pixels that count.

    One channel x stands for the logits [0, x] of background and foreground, as in every loss of a softmax.
    """

    linear = True
    class_weights: Tensor | None

    def __init__(self, class_weights: Sequence[float] | None = None, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("class_weights", class_values(class_weights, "loss.class_weights"), persistent=False)
        self.smoothing = require_fraction(label_smoothing, "loss.label_smoothing")

    def statistics(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        logits = two_channels(at_least_float32(pred))
        weights = per_class(self.class_weights, logits, "loss.class_weights")
        return cross_entropy_sums(logits, target, weight, weights, self.smoothing)

    def terms(self, softmax: Probabilities) -> list[Term]:
        weights = per_class(self.class_weights, softmax.like, "loss.class_weights")
        return [CrossEntropyTerm(softmax, weights, self.smoothing)]
