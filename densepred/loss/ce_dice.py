"""Cross-entropy plus Dice, from one softmax."""

from __future__ import annotations

from collections.abc import Sequence

from densepred.loss.ce import CrossEntropy
from densepred.loss.dice import Dice
from densepred.loss.sum import JoinedSoftmax
from densepred.nn import require_at_least_zero


class CrossEntropyDice(JoinedSoftmax):
    """ce * CrossEntropy + dice * Dice, with the arguments of both: a `sum` of two terms, named for convenience."""

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
        super().__init__(
            [
                (require_at_least_zero(ce, "loss.ce"), CrossEntropy(class_weights, label_smoothing)),
                (
                    require_at_least_zero(dice, "loss.dice"),
                    Dice(smooth, per_image, include_background, include_absent),
                ),
            ]
        )
