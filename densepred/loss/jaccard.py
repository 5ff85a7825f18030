"""Soft Jaccard loss: one minus intersection over union."""

from __future__ import annotations

from torch import Tensor

from densepred.ops.loss.overlap import OverlapLoss, tversky_loss


class Jaccard(OverlapLoss):
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
        super().__init__(smooth, per_image, include_background, include_absent)

    def value(self, sums: Tensor) -> Tensor:
        return tversky_loss(sums, 1, 1, self.smooth, *self.which)
