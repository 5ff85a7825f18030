"""Bicubic upsampling."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from densepred.upsample.interpolation import Interpolation


class Bicubic(Interpolation):
    """Sixteen neighbours weighted by Keys's cubic with a = -0.75; values may overshoot their neighbours."""

    def enlarge(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        return F.interpolate(x, size, mode="bicubic", align_corners=self.align_corners)
