"""Cross-entropy with online mining of hard examples."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from densepred.contracts import Loss
from densepred.nn import require_fraction
from densepred.ops.loss.hard_pixels import below_threshold, pixel_cross_entropy
from densepred.ops.loss.labels import at_least_float32, class_values, per_class
from densepred.ops.resize.resample import two_channels
from densepred.types import UserError


class OnlineHardExamples(Loss):
    """The mean cross-entropy of pixels with a probability of their label under `threshold`, at least of `min_kept`.

    Pixels are chosen from the batch of one device, as in HRNet's OhemCrossEntropy (https://arxiv.org/abs/1604.03540).
    The mean divides by the weights of the pixels kept.
    """

    target = "classes"
    class_weights: Tensor | None

    def __init__(
        self, threshold: float = 0.9, min_kept: int = 131072, class_weights: Sequence[float] | None = None
    ) -> None:
        super().__init__()
        self.threshold = require_fraction(threshold, "loss.threshold")
        if min_kept < 0:
            raise UserError(f"loss.min_kept: {min_kept}; give 0 or more pixels")
        self.min_kept = min_kept
        self.register_buffer("class_weights", class_values(class_weights, "loss.class_weights"), persistent=False)

    def forward(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        logits = two_channels(at_least_float32(pred))
        weights = per_class(self.class_weights, logits, "loss.class_weights")
        each, weight = pixel_cross_entropy(logits, target, weight, weights)
        return below_threshold(each, weight, self.threshold, self.min_kept)
