"""Encoder, decoder and one convolution per head: the model of nearly every task."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from densepred.contracts import Decoder, DecoderFactory, EncoderFactory, Model
from densepred.nn import (
    ConvNormAct,
    Normalise,
    ceil_div,
    exponential,
    initialise,
    initialise_head,
    output_axes,
    require_odd,
)
from densepred.ops.geometry.pad import repeated
from densepred.types import ChannelAxes, HeadSpec, Pyramid, UserError


class EncoderDecoder(Normalise, Model):
    """Encoder, decoder and heads; the input is normalised as the encoder's pretrained weights expect, if it has any.

    A head is one convolution or, with `hidden`, a 3x3 convolution of that width and a ReLU before it; `dropout` acts on
    the maps that heads read. Heads of lengths end with an exponential, those of sigmoids begin at their prior.

    With `deep_supervision` n each head also predicts from the n maps before its own, with separate convolutions. In
    training it has n + 1 stages, coarse to fine, the last its prediction; in evaluation mode only the prediction.
    """

    bounds = True

    def __init__(
        self,
        encoder: EncoderFactory,
        decoder: DecoderFactory,
        heads: Mapping[str, HeadSpec],
        channels: int,
        mean: Sequence[float],
        std: Sequence[float],
        align_corners: bool = False,
        kernel: int = 1,
        dropout: float = 0.0,
        deep_supervision: int = 0,
        hidden: int = 0,
    ) -> None:
        super().__init__()
        require_odd("model.kernel", kernel)
        self.align_corners = align_corners
        self.encoder = encoder(in_channels=channels)
        self.decoder = decoder(self.encoder)
        self.register_statistics(self.encoder.mean or mean, self.encoder.std or std)
        self.dropout = nn.Dropout(dropout)
        reads = {name: levels(name, spec, self.decoder) for name, spec in heads.items()}
        self.heads = nn.ModuleDict(
            {name: Head(spec, self.decoder, reads[name], kernel, hidden) for name, spec in heads.items()}
        )
        self.whole = {level for name, read in reads.items() if heads[name].strides != (1,) for level in read}
        self.supervised, self.pruned = deep_supervision, 0
        self.stages = nn.ModuleDict()
        for name, spec in heads.items():
            if deep_supervision:
                each = earlier(name, reads[name], deep_supervision)
                self.whole |= {level for level in each if spec.strides != (1,)}
                self.stages[name] = nn.ModuleList(Head(spec, self.decoder, (level,), kernel, hidden) for level in each)
        self._ask()

    def forward(self, image: Tensor) -> dict[str, list[Tensor]]:
        return self.answers(self.pyramid(image))

    def pyramid(self, image: Tensor) -> Pyramid:
        """Return the encoder's feature pyramid of images (B, C, H, W) in [0, 1]."""
        pyramid = self.encoder(self.normalise(image))
        pyramid.size = (image.shape[-2], image.shape[-1])
        return pyramid

    def answers(self, pyramid: Pyramid) -> dict[str, list[Tensor]]:
        """Return the stages of every head from a feature pyramid."""
        parts = self._parts()
        read = {*(self.decoder.wanted or ())}
        maps = cut(self.decoder(pyramid), self.decoder.strides, pyramid, self.whole & read)
        maps = [self.dropout(x) if level in read else x for level, x in enumerate(maps)]
        return {name: [head(maps) for head in each] for name, each in parts.items()}

    def channel_axes(self) -> ChannelAxes:
        found: ChannelAxes = {}
        for name, head in self.heads.items():
            found |= cast(Head, head).channel_axes(f"heads.{name}", name)
        for name, each in self.stages.items():
            for number, head in enumerate(cast(nn.ModuleList, each)):
                found |= cast(Head, head).channel_axes(f"stages.{name}.{number}", name)
        return found

    def skip_stages(self, stages: int) -> None:
        if not 0 <= stages <= self.supervised:
            raise UserError(
                f"skip_stages={stages}: the stages before the prediction are model.deep_supervision={self.supervised}; "
                f"give 0 to {self.supervised}"
            )
        self.pruned = stages
        self._ask()

    def train(self, mode: bool = True) -> EncoderDecoder:
        super().train(mode)
        self._ask()
        return self

    def _ask(self) -> None:
        """Set the maps that the decoder must compute; not in `forward`, which torch.compile needs free of effects."""
        self.decoder.wanted = {level for each in self._parts().values() for head in each for level in head.levels}

    def _parts(self) -> dict[str, list[Head]]:
        """Return the modules of each head, stage by stage."""
        found: dict[str, list[Any]] = {name: [head] for name, head in self.heads.items()}
        for name, each in self.stages.items():
            found[name] = [*cast(nn.ModuleList, each), *found[name]]
        if not self.training:
            found = {name: [each[-1 - self.pruned]] for name, each in found.items()}
        return found


class Head(nn.Module):
    """A convolution on each map of `levels`; several levels are flattened and joined, (B, C, sum of h * w)."""

    def __init__(self, spec: HeadSpec, decoder: Decoder, levels: tuple[int, ...], kernel: int, hidden: int = 0) -> None:
        super().__init__()
        self.levels, self.positive = levels, spec.positive
        self.convs = nn.ModuleList(
            nn.Conv2d(hidden or decoder.channels[level], spec.channels, kernel, padding=kernel // 2)
            for level in self.levels
        )
        self.hidden = nn.ModuleList(
            ConvNormAct(decoder.channels[level], hidden, norm="none") if hidden else nn.Identity()
            for level in self.levels
        )
        initialise(self.hidden)
        for conv in self.convs:
            assert isinstance(conv, nn.Conv2d)
            initialise_head(conv, spec)

    def channel_axes(self, place: str, name: str) -> ChannelAxes:
        """Return the axes of this head, `name` of the model and at `place` in it."""
        found: ChannelAxes = {}
        for number, conv in enumerate(self.convs):
            found |= output_axes(conv, f"{place}.convs.{number}", name)
        return found

    def forward(self, maps: list[Tensor]) -> Tensor:
        each = zip(self.convs, self.hidden, self.levels, strict=True)
        answers = [conv(hidden(maps[level])) for conv, hidden, level in each]
        answers = [exponential(answer) for answer in answers] if self.positive else answers
        return answers[0] if len(answers) == 1 else torch.cat([answer.flatten(2) for answer in answers], 2)


def cut(maps: Sequence[Tensor], strides: Sequence[int], pyramid: Pyramid, whole: Collection[int] = ()) -> list[Tensor]:
    """Crop maps to at most ceil(size / stride) rows and columns: if the encoder rounded up, a map may have one more.

    Maps of the levels `whole` get exactly that size: if the encoder rounded down, the last row or column is repeated.
    Codecs take location i of stride s for the pixels from s i on; a map with too few would be stretched.
    """
    assert pyramid.size is not None
    found = []
    for level, (x, stride) in enumerate(zip(maps, strides, strict=True)):
        rows, columns = (ceil_div(length, stride) for length in pyramid.size)
        if level in whole and torch.compiler.is_exporting():
            found.append(repeated(repeated(x, -2, rows), -1, columns))
            continue
        missing = (0, columns - x.shape[-1], 0, rows - x.shape[-2])
        x = F.pad(x, missing, mode="replicate") if level in whole and max(missing) > 0 else x
        found.append(x[..., : torch.sym_min(rows, x.shape[-2]), : torch.sym_min(columns, x.shape[-1])])
    return found


def levels(name: str, spec: HeadSpec, decoder: Decoder) -> tuple[int, ...]:
    """Return the levels of the decoder for a head: those of its strides, or the finest if its stride is finer still."""
    finest = min(decoder.strides)
    wanted = (max(spec.strides[0], finest),) if len(spec.strides) == 1 else spec.strides
    if missing := [stride for stride in wanted if stride not in decoder.strides]:
        raise UserError(
            f"head '{name}' wants a map of stride {missing[0]}, but the decoder's strides are "
            f"{', '.join(str(stride) for stride in decoder.strides)}; choose another decoder, or set decoder.stride"
        )
    # Of several maps of one stride the last is the deepest.
    return tuple(len(decoder.strides) - 1 - decoder.strides[::-1].index(stride) for stride in wanted)


def earlier(name: str, levels: tuple[int, ...], count: int) -> range:
    """Return the `count` levels before the one that a head reads; raise UserError if there are fewer."""
    level, *others = levels
    if others:
        raise UserError(
            f"model.deep_supervision={count}: head '{name}' already reads several maps of the decoder; set 0"
        )
    if not 0 < count <= level:
        remedy = f"give 0 to {level}" if level else "set 0, or choose another decoder"
        raise UserError(
            f"model.deep_supervision={count}: this decoder has {level} maps before that of head '{name}'; {remedy}"
        )
    return range(level - count, level)
