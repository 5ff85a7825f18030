"""Focal Tversky loss: a power of the Tversky loss of each class."""

from __future__ import annotations

from densepred.loss.tversky import Tversky
from densepred.types import UserError


class FocalTversky(Tversky):
    """The mean over classes of (1 - Tversky index)^exponent, https://arxiv.org/abs/1810.07842.

    `exponent` is the paper's 1 / gamma: below 1 it raises the loss of classes that are nearly right, above 1 it
    lowers it. Where the loss of a class is below 1e-12, its gradient is 0.
    """

    def __init__(
        self,
        alpha: float = 0.3,
        beta: float = 0.7,
        exponent: float = 0.75,
        smooth: float = 1.0,
        per_image: bool = False,
        include_background: bool = True,
        include_absent: bool = False,
    ) -> None:
        super().__init__(alpha, beta, smooth, per_image, include_background, include_absent)
        if not exponent > 0:
            raise UserError(f"loss.exponent: {exponent}; give a number above 0, 1 for the plain Tversky loss")
        self.exponent = exponent
