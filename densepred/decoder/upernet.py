"""Unified perceptual parsing (arXiv 1807.10221): a feature pyramid on pyramid pooling, all levels fused."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from densepred.contracts import Decoder, Encoder, UpsampleFactory
from densepred.decoder.levels import deep_to_shallow
from densepred.decoder.pspnet import PyramidPooling
from densepred.nn import ConvNormAct, initialise
from densepred.ops.resize import resample
from densepred.types import Pyramid


class UPerNet(Decoder):
    """One map at the finest of the encoder's levels that is at least `stride`."""

    def __init__(
        self,
        encoder: Encoder,
        upsample: UpsampleFactory,
        width: int = 512,
        bins: Sequence[int] = (1, 2, 3, 6),
        stride: int = 4,
        norm: str = "batch",
        activation: str = "relu",
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.levels = deep_to_shallow(encoder, stride)
        deepest, *others = self.levels
        self.channels, self.strides = (width,), (encoder.strides[self.levels[-1]],)
        self.pool = PyramidPooling(encoder.channels[deepest], width, bins, norm, activation)
        self.deepest = ConvNormAct(self.pool.channels, width, norm=norm, activation=activation)
        self.laterals = nn.ModuleList(
            ConvNormAct(encoder.channels[i], width, 1, norm=norm, activation=activation) for i in others
        )
        self.smooth = nn.ModuleList(ConvNormAct(width, width, norm=norm, activation=activation) for _ in others)
        self.fuse = ConvNormAct(width * len(self.levels), width, norm=norm, activation=activation)
        initialise(self)
        self.ups = nn.ModuleList(
            upsample(width, width, encoder.pooled[i + 1], factor=encoder.strides[i + 1] // encoder.strides[i])
            for i in others
        )
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, pyramid: Pyramid) -> list[Tensor]:
        x = self.deepest(self.pool(pyramid.features[self.levels[0]]))
        maps = [x]
        for i, lateral, up, smooth in zip(self.levels[1:], self.laterals, self.ups, self.smooth, strict=True):
            size = tuple(pyramid.features[i].shape[-2:])
            x = lateral(pyramid.features[i]) + up(x, size, pyramid.indices[i + 1])
            maps.append(smooth(x))
        size = (maps[-1].shape[-2], maps[-1].shape[-1])
        maps = [resample.resize(one, size, align_corners=False) for one in maps]
        return [self.dropout(self.fuse(torch.cat(maps, 1)))]
