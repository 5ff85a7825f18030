"""Lite R-ASPP (arXiv 1905.02244): the deepest level weighted by the mean of the image, beside a shallow level."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from densepred.contracts import Decoder, Encoder, UpsampleFactory
from densepred.decoder.levels import finest
from densepred.nn import ConvNormAct, initialise
from densepred.types import Pyramid, UserError


class LRASPP(Decoder):
    """One map at the encoder's first level of at least `stride`: the enlarged map of `width` channels, then that level.

    The publication has a 1x1 convolution to the classes on each of the two and adds both: one convolution on both.
    """

    def __init__(
        self,
        encoder: Encoder,
        upsample: UpsampleFactory,
        width: int = 128,
        stride: int = 8,
        norm: str = "batch",
        activation: str = "relu",
    ) -> None:
        super().__init__()
        self.level = finest(encoder, stride)
        if self.level == len(encoder.strides) - 1:
            raise UserError(
                f"decoder.stride={stride}: leaves no level of the encoder below the deepest; give a smaller one"
            )
        deep = encoder.channels[-1]
        self.channels, self.strides = (width + encoder.channels[self.level],), (encoder.strides[self.level],)
        self.cbr = ConvNormAct(deep, width, 1, norm=norm, activation=activation)
        self.scale = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(deep, width, 1, bias=False), nn.Sigmoid())
        initialise(self)
        pooled = encoder.pooled[-1] if self.level == len(encoder.strides) - 2 else None
        self.up = upsample(width, width, pooled, factor=encoder.strides[-1] // encoder.strides[self.level])

    def forward(self, pyramid: Pyramid) -> list[Tensor]:
        low, deep = pyramid.features[self.level], pyramid.features[-1]
        x = self.cbr(deep) * self.scale(deep)
        return [torch.cat([self.up(x, (low.shape[-2], low.shape[-1]), pyramid.indices[-1]), low], 1)]
