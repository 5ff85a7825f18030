"""Semantic branch of Panoptic FPN (arXiv 1901.02446): every level of a pyramid enlarged by steps and merged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from densepred.contracts import Decoder, Encoder, UpsampleFactory
from densepred.decoder.fpn import top_down
from densepred.decoder.levels import deep_to_shallow
from densepred.nn import ConvNormAct, choose, initialise
from densepred.ops.resize import resample
from densepred.types import Pyramid


class Branch(nn.Module):
    """3x3 convolutions to `width`; after each one the map is enlarged to the next of the finer `strides`."""

    def __init__(self, in_channels: int, width: int, strides: Sequence[int], norm: str, activation: str) -> None:
        super().__init__()
        self.strides = tuple(strides)
        self.convs = nn.ModuleList(
            ConvNormAct(width if step else in_channels, width, norm=norm, activation=activation)
            for step in range(max(1, len(strides)))
        )

    def forward(self, x: Tensor, sizes: Mapping[int, tuple[int, int]], align_corners: bool) -> Tensor:
        for step, conv in enumerate(self.convs):
            x = conv(x)
            if self.strides:
                x = resample.resize(x, sizes[self.strides[step]], align_corners=align_corners)
        return x


class SemanticFPN(Decoder):
    """One map at the finest of the encoder's levels that is at least `stride`.

    A level 2^n times coarser passes n convolutions, the finest one. `smooth` ends each level of the pyramid with a 3x3
    convolution, as published. `merge` is sum, as published, or concatenate.
    """

    def __init__(
        self,
        encoder: Encoder,
        upsample: UpsampleFactory,
        width: int = 256,
        branch_width: int = 128,
        stride: int = 4,
        smooth: bool = True,
        merge: str = "sum",
        align_corners: bool = False,
        norm: str = "group",
        activation: str = "relu",
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        choose("decoder.merge", merge, ("sum", "concatenate"))
        self.merge, self.align_corners = merge, align_corners
        self.levels = deep_to_shallow(encoder, stride)
        self.level_strides = tuple(encoder.strides[i] for i in self.levels)
        self.channels = (branch_width * (1 if merge == "sum" else len(self.levels)),)
        self.strides = self.level_strides[-1:]
        self.laterals = nn.ModuleList(nn.Conv2d(encoder.channels[i], width, 1) for i in self.levels)
        self.smooth = nn.ModuleList(nn.Conv2d(width, width, 3, 1, 1) if smooth else nn.Identity() for _ in self.levels)
        distinct = sorted(set(self.level_strides), reverse=True)
        self.branches = nn.ModuleList(
            Branch(width, branch_width, [one for one in distinct if one < own], norm, activation)
            for own in self.level_strides
        )
        initialise(self)
        self.ups = nn.ModuleList(
            upsample(width, width, encoder.pooled[i + 1], factor=encoder.strides[i + 1] // encoder.strides[i])
            for i in self.levels[1:]
        )
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, pyramid: Pyramid) -> list[Tensor]:
        joined = top_down(pyramid, self.levels, self.laterals, self.ups)
        sizes = {stride: (x.shape[-2], x.shape[-1]) for stride, x in zip(self.level_strides, joined, strict=True)}
        maps = [
            branch(smooth(x), sizes, self.align_corners)
            for branch, smooth, x in zip(self.branches, self.smooth, joined, strict=True)
        ]
        merged = torch.stack(maps).sum(0) if self.merge == "sum" else torch.cat(maps, 1)
        return [self.dropout(merged)]
