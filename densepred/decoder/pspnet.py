"""Pyramid scene parsing (arXiv 1612.01105): the deepest level joined with its means over grids of several sizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from densepred.contracts import Decoder, Encoder
from densepred.nn import ConvNormAct, initialise
from densepred.types import Pyramid, UserError


class PyramidPooling(nn.Module):
    """Means over grids of `bins` x `bins`, each mapped by a 1x1 convolution to `width`, enlarged and joined to x."""

    def __init__(self, in_channels: int, width: int, bins: Sequence[int], norm: str, activation: str) -> None:
        super().__init__()
        if min(bins, default=0) < 1:
            raise UserError(f"decoder.bins: {list(bins)}; give one positive number or more")
        self.bins, self.channels = tuple(bins), in_channels + width * len(bins)
        self.convs = nn.ModuleList(ConvNormAct(in_channels, width, 1, norm=norm, activation=activation) for _ in bins)

    def forward(self, x: Tensor) -> Tensor:
        size = cast(tuple[int, int], x.shape[-2:])
        means = [conv(F.adaptive_avg_pool2d(x, bins)) for bins, conv in zip(self.bins, self.convs, strict=True)]
        return torch.cat([x, *(F.interpolate(m, size, mode="bilinear", align_corners=False) for m in means)], 1)


class PSPNet(Decoder):
    """One map at the encoder's last stride; the paper's encoder has output stride 8."""

    def __init__(
        self,
        encoder: Encoder,
        width: int = 512,
        bins: Sequence[int] = (1, 2, 3, 6),
        norm: str = "batch",
        activation: str = "relu",
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        deep = encoder.channels[-1]
        self.channels, self.strides = (width,), (encoder.strides[-1],)
        self.pool = PyramidPooling(deep, max(1, deep // max(1, len(bins))), bins, norm, activation)
        self.mix = ConvNormAct(self.pool.channels, width, norm=norm, activation=activation)
        initialise(self)
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, pyramid: Pyramid) -> list[Tensor]:
        return [self.dropout(self.mix(self.pool(pyramid.features[-1])))]
