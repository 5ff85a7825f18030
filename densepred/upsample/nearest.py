"""Nearest-neighbour upsampling: every value is repeated."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from densepred.upsample.interpolation import Interpolation


class Nearest(Interpolation):
    def __init__(self, in_channels: int, out_channels: int, pooled_channels: int | None, factor: int = 2) -> None:
        super().__init__(in_channels, out_channels, pooled_channels, factor)

    def enlarge(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        return F.interpolate(x, size, mode="nearest")
