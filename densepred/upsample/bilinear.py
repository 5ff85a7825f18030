"""Bilinear upsampling."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from densepred.upsample.interpolation import Interpolation


class Bilinear(Interpolation):
    """Four neighbours weighted by their distance."""

    def enlarge(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        return F.interpolate(x, size, mode="bilinear", align_corners=self.align_corners)
