"""Unified perceptual parsing (arXiv 1807.10221): a feature pyramid on pyramid pooling, all levels fused."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from densepred.contracts import Decoder, Encoder, UpsampleFactory
from densepred.decoder.levels import deep_to_shallow
from densepred.decoder.pspnet import PyramidPooling
from densepred.nn import ConvNormAct, choose, initialise
from densepred.ops.resize import resample
from densepred.types import Pyramid


class UPerNet(Decoder):
    """One map at the finest of the encoder's levels that is at least `stride`.

    `level_norm` layer normalises the channels of each location of the encoder's maps first; none leaves them.
    """

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
        level_norm: str = "none",
    ) -> None:
        super().__init__()
        choose("decoder.level_norm", level_norm, ("none", "layer"))
        self.level_norm = level_norm
        self.levels = deep_to_shallow(encoder, stride)
        deepest, *others = self.levels
        self.channels, self.strides = (width,), (encoder.strides[self.levels[-1]],)
        self.norms = nn.ModuleList(
            ChannelNorm(encoder.channels[i], eps=1e-6) if level_norm == "layer" else nn.Identity() for i in self.levels
        )
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
        deepest, *others = (norm(pyramid.features[i]) for i, norm in zip(self.levels, self.norms, strict=True))
        x = self.deepest(self.pool(deepest))
        maps = [x]
        steps = zip(self.levels[1:], others, self.laterals, self.ups, self.smooth, strict=True)
        for i, level, lateral, up, smooth in steps:
            size = tuple(level.shape[-2:])
            x = lateral(level) + up(x, size, pyramid.indices[i + 1])
            maps.append(smooth(x))
        size = (maps[-1].shape[-2], maps[-1].shape[-1])
        maps = [resample.resize(one, size, align_corners=False) for one in maps]
        return [self.dropout(self.fuse(torch.cat(maps, 1)))]


class ChannelNorm(nn.LayerNorm):
    """Layer norm of the channels (B, C, h, w) of each location."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.movedim(1, -1)).movedim(-1, 1)
