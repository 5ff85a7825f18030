"""Bicubic upsampling."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from densepred.contracts import Upsample


class Bicubic(Upsample):
    """Sixteen neighbours mixed by Keys's cubic with a = -0.75; values may overshoot those that they come from.

    `align_corners` says whether the centres of the corner pixels stay in place or the outer edges of the map do.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        pooled_channels: int | None,
        factor: int = 2,
        align_corners: bool = False,
    ) -> None:
        super().__init__()
        self.align_corners = align_corners
        # Changing the width first, at the small size, is factor^2 times cheaper and gives the same values.
        self.project = nn.Conv2d(in_channels, out_channels, 1) if in_channels != out_channels else nn.Identity()

    def forward(self, x: Tensor, size: tuple[int, int], indices: Tensor | None) -> Tensor:
        x = self.project(x)
        if x.shape[-2:] == size:
            return x
        return F.interpolate(x, size, mode="bicubic", align_corners=self.align_corners)
