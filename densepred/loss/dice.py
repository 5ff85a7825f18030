"""Soft Dice loss: one minus the overlap of prediction and ground truth."""

from __future__ import annotations

from torch import Tensor

from densepred.ops.loss.overlap import OverlapLoss, dice_loss


class Dice(OverlapLoss):
    """1 - mean over classes of (2 intersection + smooth) / (predicted + true area + smooth),
    https://arxiv.org/abs/1606.04797.

    Areas are those of the whole batch, or of each image with `per_image`. Classes without a pixel in the ground truth
    are left out of the mean, unless `include_absent`: then they count, if any pixel is labelled, as
    1 - smooth / (predicted + smooth).
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
        return dice_loss(sums, self.smooth, *self.which)
