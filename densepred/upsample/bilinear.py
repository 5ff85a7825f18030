"""Bilinear upsampling."""

from __future__ import annotations

from torch import Tensor

from densepred.ops.resize import interpolate
from densepred.upsample.interpolation import Interpolation


class Bilinear(Interpolation):
    """Four neighbours weighted by their distance. Runs that must repeat on a GPU take matrix products."""

    def enlarge(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        return interpolate.bilinear(x, size, self.align_corners)
