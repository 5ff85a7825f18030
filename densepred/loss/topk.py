"""Cross-entropy of the hardest pixels, a share of all."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from densepred.contracts import Loss
from densepred.ops.loss.hard_pixels import hardest_of_all, hardest_share, pixel_cross_entropy
from densepred.ops.loss.labels import at_least_float32, class_values, per_class
from densepred.ops.loss.values import known_normalise
from densepred.ops.resize.resample import two_channels
from densepred.types import UserError


class TopK(Loss):
    """The mean over the `top_k_percent` of pixels with the largest weighted cross-entropy,
    https://arxiv.org/abs/1605.06885.

    Pixels are those that count in the batch of one device. The mean divides by the weights of the pixels kept.
    With `normalise="count"` the share is that of all pixels, void ones too, and the mean divides by their number: so
    does DeepLabCE of Panoptic-DeepLab and detectron2.
    """

    target = "classes"
    class_weights: Tensor | None

    def __init__(
        self,
        top_k_percent: float = 0.2,
        class_weights: Sequence[float] | None = None,
        normalise: str = "weights",
    ) -> None:
        super().__init__()
        if not 0 < top_k_percent <= 1:
            raise UserError(f"loss.top_k_percent: {top_k_percent}; give a number above 0, at most 1 (all pixels)")
        self.top_k_percent = top_k_percent
        self.normalise = known_normalise(normalise)
        self.register_buffer("class_weights", class_values(class_weights, "loss.class_weights"), persistent=False)

    def forward(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        logits = two_channels(at_least_float32(pred))
        weights = per_class(self.class_weights, logits, "loss.class_weights")
        mean = hardest_of_all if self.normalise == "count" else hardest_share
        return mean(*pixel_cross_entropy(logits, target, weight, weights), self.top_k_percent)
