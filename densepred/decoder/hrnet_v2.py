"""HRNetV2 (arXiv 1904.04514): every branch enlarged to the finest, concatenated and mixed."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from densepred.contracts import Decoder, Encoder, UpsampleFactory
from densepred.decoder.levels import finest
from densepred.nn import make_activation, make_norm
from densepred.types import Pyramid


class Join(nn.Module):
    """The levels of at least `stride`, enlarged to the finest of them and concatenated: `channels` maps.

    A level is enlarged in one step, as published, or through all levels between: with `stepwise`, and if all of them
    were max-pooled, because unpooling undoes one pooling at a time.
    """

    def __init__(self, encoder: Encoder, upsample: UpsampleFactory, stride: int, stepwise: bool) -> None:
        super().__init__()
        self.first = finest(encoder, stride)
        self.stride = encoder.strides[self.first]
        self.channels = sum(encoder.channels[self.first :])
        levels = range(self.first + 1, len(encoder.channels))
        self.paths = [_path(encoder, self.first, level, stepwise) for level in levels]
        self.ups = nn.ModuleList(
            nn.ModuleList(
                upsample(
                    encoder.channels[path[0]],
                    encoder.channels[path[0]],
                    encoder.pooled[at],
                    factor=encoder.strides[at] // encoder.strides[to],
                )
                for at, to in pairwise(path)
            )
            for path in self.paths
        )

    def forward(self, pyramid: Pyramid) -> Tensor:
        joined = [pyramid.features[self.first]]
        for path, ups in zip(self.paths, self.ups, strict=True):
            assert isinstance(ups, nn.ModuleList)
            x = pyramid.features[path[0]]
            for (at, to), up in zip(pairwise(path), ups, strict=True):
                height, width = pyramid.features[to].shape[-2:]
                x = up(x, (height, width), pyramid.indices[at])
            joined.append(x)
        return torch.cat(joined, 1)


class HRNetV2(Decoder):
    """One map at the encoder's finest level of at least `stride`, by default as wide as all levels together.

    The bias before the norm is the official network's; mmsegmentation's has none.
    """

    def __init__(
        self,
        encoder: Encoder,
        upsample: UpsampleFactory,
        width: int | None = None,
        stride: int = 4,
        stepwise: bool = False,
        norm: str = "batch",
        activation: str = "relu",
        dropout: float = 0.0,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.bias = bias
        self.join = Join(encoder, upsample, stride, stepwise)
        width = width or self.join.channels
        self.channels, self.strides = (width,), (self.join.stride,)
        mix = nn.Conv2d(self.join.channels, width, 1, bias=bias)
        nn.init.normal_(mix.weight, std=0.001)
        if mix.bias is not None:
            nn.init.zeros_(mix.bias)
        self.mix = nn.Sequential(mix, make_norm(norm, width), make_activation(activation), nn.Dropout(dropout))

    def forward(self, pyramid: Pyramid) -> list[Tensor]:
        return [self.mix(self.join(pyramid))]


def _path(encoder: Encoder, first: int, level: int, stepwise: bool) -> tuple[int, ...]:
    """Return the levels that an enlargement from `level` to `first` passes."""
    if not stepwise and None in encoder.pooled[first + 1 : level + 1]:
        return (level, first)
    return tuple(range(level, first - 1, -1))
