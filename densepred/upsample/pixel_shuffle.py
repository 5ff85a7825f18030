"""Sub-pixel convolution (ESPCN, arXiv 1609.05158): a convolution gives factor^2 values per pixel, laid out."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from densepred.contracts import Upsample
from densepred.nn import choose, require_odd
from densepred.ops.geometry.pad import pad

INITS = ("icnr", "random")


class PixelShuffle(Upsample):
    """Channel c * factor^2 + i * factor + j of the convolution becomes row i, column j of the square in channel c.

    `init=icnr` (arXiv 1707.02937) begins with equal weights for all pixels of a square: the initial output is that of
    nearest-neighbour upsampling, without a checkerboard.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        pooled_channels: int | None,
        factor: int = 2,
        kernel: int = 3,
        init: str = "icnr",
        bias: bool = True,
    ) -> None:
        super().__init__()
        choose("upsample.init", init, INITS)
        require_odd("upsample.kernel", kernel)
        self.factor = factor
        self.conv = nn.Conv2d(in_channels, out_channels * factor**2, kernel, padding=kernel // 2, bias=bias)
        # No rectifier follows.
        nn.init.normal_(self.conv.weight, std=(in_channels * kernel**2) ** -0.5)
        if init == "icnr":
            weight = self.conv.weight.data
            weight.copy_(weight[:: factor**2].repeat_interleave(factor**2, 0))
        if self.conv.bias is not None:
            nn.init.zeros_(self.conv.bias)

    def forward(self, x: Tensor, size: tuple[int, int], indices: Tensor | None) -> Tensor:
        x = self.conv(pad(x, size, self.factor))
        return F.pixel_shuffle(x, self.factor)[..., : size[0], : size[1]]
