"""Nearest-neighbour upsampling: every value is repeated."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from densepred.contracts import Upsample


class Nearest(Upsample):
    def __init__(self, in_channels: int, out_channels: int, pooled_channels: int | None, factor: int = 2) -> None:
        super().__init__()
        # Changing the width first, at the small size, is factor^2 times cheaper and gives the same values.
        self.project = nn.Conv2d(in_channels, out_channels, 1) if in_channels != out_channels else nn.Identity()

    def forward(self, x: Tensor, size: tuple[int, int], indices: Tensor | None) -> Tensor:
        x = self.project(x)
        return x if x.shape[-2:] == size else F.interpolate(x, size, mode="nearest")
