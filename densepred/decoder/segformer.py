"""The decoder of SegFormer (arXiv 2105.15203): one linear layer per level to a shared width, enlarged and mixed."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from densepred.contracts import Decoder, Encoder, UpsampleFactory
from densepred.decoder.levels import deep_to_shallow
from densepred.nn import ConvNormAct, initialise
from densepred.types import Pyramid


class SegFormer(Decoder):
    """One map at the finest of the encoder's levels that is at least `stride`. Any encoder serves.

    With `linear_norm` the norm and the activation follow each linear layer too, as in mmsegmentation.
    """

    def __init__(
        self,
        encoder: Encoder,
        upsample: UpsampleFactory,
        width: int = 256,
        stride: int = 4,
        norm: str = "batch",
        activation: str = "relu",
        dropout: float = 0.1,
        linear_norm: bool = False,
    ) -> None:
        super().__init__()
        self.levels = deep_to_shallow(encoder, stride)
        finest = self.levels[-1]
        self.channels, self.strides = (width,), (encoder.strides[finest],)
        self.linear_norm = linear_norm
        self.linears = nn.ModuleList(
            ConvNormAct(encoder.channels[i], width, 1, norm=norm, activation=activation)
            if linear_norm
            else nn.Conv2d(encoder.channels[i], width, 1)
            for i in self.levels
        )
        self.fuse = ConvNormAct(width * len(self.levels), width, 1, norm=norm, activation=activation)
        initialise(self)
        self.ups = nn.ModuleList(
            upsample(width, width, encoder.pooled[i], factor=encoder.strides[i] // encoder.strides[finest])
            if encoder.strides[i] > encoder.strides[finest]
            else nn.Identity()
            for i in self.levels[:-1]
        )
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, pyramid: Pyramid) -> list[Tensor]:
        size = tuple(pyramid.features[self.levels[-1]].shape[-2:])
        maps = [linear(pyramid.features[i]) for linear, i in zip(self.linears, self.levels, strict=True)]
        for step, up in enumerate(self.ups):
            if not isinstance(up, nn.Identity):
                maps[step] = up(maps[step], size, pyramid.indices[self.levels[step]])
        return [self.dropout(self.fuse(torch.cat(maps, 1)))]
