"""Soft Jaccard loss: one minus intersection over union."""

from __future__ import annotations

from torch import Tensor

from densepred.ops.loss.labels import at_least_float32
from densepred.ops.loss.overlap import OverlapTerm, overlap_sums, tversky_loss
from densepred.ops.loss.softmax import Probabilities, SoftmaxLoss, Term
from densepred.ops.resize.resample import two_channels


class Jaccard(SoftmaxLoss):
    """1 - mean over classes of (intersection + smooth) / (predicted + true area - intersection + smooth).

    Rahman and Wang 2016, https://doi.org/10.1007/978-3-319-50835-1_22. Classes count as in Dice.
    """

    def __init__(
        self,
        smooth: float = 1.0,
        per_image: bool = False,
        include_background: bool = True,
        include_absent: bool = False,
    ) -> None:
        super().__init__()
        self.smooth, self.per_image, self.include_background, self.include_absent = (
            smooth,
            per_image,
            include_background,
            include_absent,
        )

    def statistics(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        return overlap_sums(two_channels(at_least_float32(pred)), target, weight)

    def terms(self, softmax: Probabilities) -> list[Term]:
        return [OverlapTerm(softmax)]

    def value(self, sums: Tensor) -> Tensor:
        return tversky_loss(sums, 1, 1, self.smooth, self.per_image, self.include_background, self.include_absent)
