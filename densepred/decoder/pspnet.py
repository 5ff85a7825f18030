"""Pyramid scene parsing (arXiv 1612.01105): the deepest level joined with its means over grids of several sizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from densepred.contracts import Decoder, Encoder
from densepred.nn import ConvNormAct, initialise, require_odd
from densepred.ops.resize import interpolate
from densepred.ops.resize.pooling import grid_means
from densepred.types import Pyramid, UserError


class PyramidPooling(nn.Module):
    """Means over grids of `bins` x `bins`, each mapped by a 1x1 convolution to `width`, enlarged and joined to x.

    Without `image_norm` the mean over the whole image, of one value per channel, has a bias in place of the norm.
    """

    def __init__(
        self,
        in_channels: int,
        width: int,
        bins: Sequence[int],
        norm: str,
        activation: str,
        align_corners: bool = False,
        image_norm: bool = True,
    ) -> None:
        super().__init__()
        self.align_corners = align_corners
        if min(bins, default=0) < 1:
            raise UserError(f"decoder.bins: {list(bins)}; give one positive number or more")
        self.bins, self.channels = tuple(bins), in_channels + width * len(bins)
        norms = ["none" if one == 1 and not image_norm else norm for one in bins]
        self.convs = nn.ModuleList(ConvNormAct(in_channels, width, 1, norm=one, activation=activation) for one in norms)

    def forward(self, x: Tensor) -> Tensor:
        size, corners = cast(tuple[int, int], x.shape[-2:]), self.align_corners
        means = [conv(grid_means(x, bins)) for bins, conv in zip(self.bins, self.convs, strict=True)]
        return torch.cat([x, *(interpolate.bilinear(m, size, corners) for m in means)], 1)


class PSPNet(Decoder):
    """One map at the encoder's last stride; the paper's encoder has output stride 8.

    `kernel` is that of the last convolution. `align_corners` enlarges the means, `image_norm` is `PyramidPooling`'s.
    """

    def __init__(
        self,
        encoder: Encoder,
        width: int = 512,
        bins: Sequence[int] = (1, 2, 3, 6),
        norm: str = "batch",
        activation: str = "relu",
        dropout: float = 0.1,
        kernel: int = 3,
        align_corners: bool = False,
        image_norm: bool = True,
    ) -> None:
        super().__init__()
        require_odd("decoder.kernel", kernel)
        deep = encoder.channels[-1]
        self.channels, self.strides = (width,), (encoder.strides[-1],)
        # Kept because equal weights give other outputs with other settings.
        self.align_corners, self.image_norm = align_corners, image_norm
        each = max(1, deep // max(1, len(bins)))
        self.pool = PyramidPooling(deep, each, bins, norm, activation, align_corners, image_norm)
        self.mix = ConvNormAct(self.pool.channels, width, kernel, norm=norm, activation=activation)
        initialise(self)
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, pyramid: Pyramid) -> list[Tensor]:
        return [self.dropout(self.mix(self.pool(pyramid.features[-1])))]
