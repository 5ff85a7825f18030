"""Cross-entropy plus Dice, from one softmax."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from densepred.ops.loss.cross_entropy import CrossEntropyTerm, cross_entropy_sums
from densepred.ops.loss.labels import at_least_float32, class_values, fraction, per_class, ratio
from densepred.ops.loss.overlap import OverlapTerm, dice_loss, overlap_sums
from densepred.ops.loss.softmax import Softmax, SoftmaxLoss, Term
from densepred.ops.resize.resample import two_channels


class CrossEntropyDice(SoftmaxLoss):
    """ce * CrossEntropy + dice * Dice, with their arguments."""

    class_weights: Tensor | None

    def __init__(
        self,
        ce: float = 1.0,
        dice: float = 1.0,
        class_weights: Sequence[float] | None = None,
        label_smoothing: float = 0.0,
        smooth: float = 1.0,
        per_image: bool = False,
        include_background: bool = True,
        include_absent: bool = False,
    ) -> None:
        super().__init__()
        self.ce, self.dice = ce, dice
        self.register_buffer("class_weights", class_values(class_weights, "loss.class_weights"), persistent=False)
        self.smoothing = fraction(label_smoothing, "loss.label_smoothing")
        self.smooth, self.per_image, self.include_background, self.include_absent = (
            smooth,
            per_image,
            include_background,
            include_absent,
        )

    def statistics(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        logits = two_channels(at_least_float32(pred))
        weights = per_class(self.class_weights, logits, "loss.class_weights")
        ce = cross_entropy_sums(logits, target, weight, weights, self.smoothing)
        return torch.cat([ce, overlap_sums(logits, target, weight)], 1)

    def terms(self, softmax: Softmax) -> list[Term]:
        weights = per_class(self.class_weights, softmax.exponentials, "loss.class_weights")
        return [CrossEntropyTerm(softmax, weights, self.smoothing), OverlapTerm(softmax)]

    def value(self, sums: Tensor) -> Tensor:
        dice = dice_loss(sums[:, 2:], self.smooth, self.per_image, self.include_background, self.include_absent)
        return self.ce * ratio(sums[:, 0].sum(), sums[:, 1].sum()) + self.dice * dice
