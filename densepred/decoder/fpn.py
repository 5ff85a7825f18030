"""Feature pyramid network (arXiv 1612.03144): levels of one width, each with the features of the deeper ones added."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from densepred.contracts import Decoder, Encoder, UpsampleFactory
from densepred.decoder.levels import deep_to_shallow, drop_finest
from densepred.nn import ConvNormAct, choose, initialise, require_at_least_zero
from densepred.types import Pyramid


class FPN(Decoder):
    """One map for each of the encoder's levels down to `stride`.

    The paper ends each map with a bare 3x3 convolution, for heads of several layers: `bare`. For heads of one layer
    norm and activation follow it. `extra` levels beyond the encoder's are 3x3 convolutions of stride 2, as in RetinaNet
    (arXiv 1708.02002): the first of the deepest map or, with `extra_from` encoder, of the encoder's deepest level, the
    next of the one before after a ReLU.
    """

    def __init__(
        self,
        encoder: Encoder,
        upsample: UpsampleFactory,
        width: int = 256,
        stride: int = 4,
        norm: str = "batch",
        activation: str = "relu",
        dropout: float = 0.0,
        bare: bool = False,
        extra: int = 0,
        extra_from: str = "decoder",
    ) -> None:
        super().__init__()
        choose("decoder.extra_from", extra_from, ("decoder", "encoder"))
        require_at_least_zero(extra, "decoder.extra")
        self.extra_from = extra_from
        self.levels = deep_to_shallow(encoder, stride)
        beyond = tuple(encoder.strides[-1] * 2**i for i in range(extra, 0, -1))
        self.strides = (*beyond, *(encoder.strides[i] for i in self.levels))
        self.channels = (width,) * len(self.strides)
        self.laterals = nn.ModuleList(nn.Conv2d(encoder.channels[i], width, 1) for i in self.levels)
        norm, activation = ("none", "none") if bare else (norm, activation)
        self.smooth = nn.ModuleList(ConvNormAct(width, width, norm=norm, activation=activation) for _ in self.levels)
        first = encoder.channels[-1] if extra_from == "encoder" else width
        self.extra = nn.ModuleList(nn.Conv2d(width if i else first, width, 3, 2, 1) for i in range(extra))
        initialise(self)
        self.ups = nn.ModuleList(
            upsample(width, width, encoder.pooled[i + 1], factor=encoder.strides[i + 1] // encoder.strides[i])
            for i in self.levels[1:]
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, pyramid: Pyramid) -> list[Tensor]:
        joined = top_down(pyramid, self.levels, self.laterals, self.ups)
        more = len(self.extra)
        wanted = set(range(more + len(joined))) if self.wanted is None else set(self.wanted)
        if wanted & set(range(more)) and self.extra_from == "decoder":
            wanted.add(more)  # the deepest map, from which they are made
        maps = [
            conv(x) if level in wanted else x[:, :, :0, :0]
            for level, (conv, x) in enumerate(zip(self.smooth, joined, strict=True), more)
        ]
        source = pyramid.features[self.levels[0]] if self.extra_from == "encoder" else maps[0]
        return drop_finest(self, [*self._beyond(source, wanted), *maps], self.dropout)

    def _beyond(self, source: Tensor, wanted: Collection[int]) -> list[Tensor]:
        """The levels coarser than the encoder's, coarse to fine; those beyond the coarsest that is wanted are empty."""
        more = len(self.extra)
        last = min(wanted, default=more)
        maps = [source]
        for number, conv in enumerate(self.extra):
            below = F.relu(maps[-1]) if number else maps[-1]
            maps.append(conv(below) if more - 1 - number >= last else below.new_empty(len(below), 0, 0, 0))
        return maps[:0:-1]


def top_down(
    pyramid: Pyramid, levels: Sequence[int], laterals: Iterable[nn.Module], ups: Iterable[nn.Module]
) -> list[Tensor]:
    """Return a map for each of `levels`, deep to shallow: its lateral convolution, with the map before it enlarged.

    `ups` are the `Upsample` modules that lead to each level but the first.
    """
    maps = [conv(pyramid.features[i]) for conv, i in zip(laterals, levels, strict=True)]
    for step, (up, i) in enumerate(zip(ups, levels[1:], strict=True), 1):
        size = (maps[step].shape[-2], maps[step].shape[-1])
        maps[step] = maps[step] + up(maps[step - 1], size, pyramid.indices[i + 1])
    return maps
