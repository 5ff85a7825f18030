"""Encoder, decoder and a convolution a head: the model of nearly every task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from densepred.contracts import Decoder, DecoderFactory, EncoderFactory, Model
from densepred.types import HeadSpec, Pyramid, UserError


class EncoderDecoder(Model):
    """Normalises its input, with the statistics that the encoder's pretrained weights expect if it has any.

    With `deep_supervision` n each head also answers from the n maps before its own, by convolutions of their own: in
    training its stages are n + 1, coarse to fine, the last the answer. In evaluation mode there is only the answer.
    """

    mean: Tensor
    std: Tensor

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
    ) -> None:
        super().__init__()
        if kernel % 2 == 0:
            raise UserError(f"model.kernel: {kernel}; give an odd number")
        self.align_corners = align_corners
        self.encoder = encoder(in_channels=channels)
        self.decoder = decoder(self.encoder)
        for name, given in (("mean", self.encoder.mean or mean), ("std", self.encoder.std or std)):
            self.register_buffer(name, torch.tensor(tuple(given)).view(-1, 1, 1))
        self.dropout = nn.Dropout(dropout)
        reads = {name: levels(name, spec, self.decoder) for name, spec in heads.items()}
        self.heads = nn.ModuleDict(
            {name: Head(spec, self.decoder, reads[name], kernel) for name, spec in heads.items()}
        )
        self.supervised, self.pruned = deep_supervision, 0
        self.stages = nn.ModuleDict()
        for name, spec in heads.items():
            if deep_supervision:
                each = earlier(name, reads[name], deep_supervision)
                self.stages[name] = nn.ModuleList(Head(spec, self.decoder, (level,), kernel) for level in each)
        self._ask()

    def forward(self, image: Tensor) -> dict[str, list[Tensor]]:
        return self.answers(self.pyramid(image))

    def pyramid(self, image: Tensor) -> Pyramid:
        """What the encoder sees of images in [0, 1]."""
        pyramid = self.encoder((image - self.mean) / self.std)
        pyramid.size = (image.shape[-2], image.shape[-1])
        return pyramid

    def answers(self, pyramid: Pyramid) -> dict[str, list[Tensor]]:
        """What the decoder and the heads make of it."""
        parts = self._parts()
        maps = cut(self.decoder(pyramid), self.decoder.strides, pyramid)
        maps[-1] = self.dropout(maps[-1])
        return {name: [head(maps) for head in each] for name, each in parts.items()}

    def prune(self, stages: int) -> None:
        if not 0 <= stages <= self.supervised:
            raise UserError(
                f"prune={stages}: the stages before the answer are model.deep_supervision={self.supervised}; "
                f"give 0 to {self.supervised}"
            )
        self.pruned = stages
        self._ask()

    def train(self, mode: bool = True) -> EncoderDecoder:
        super().train(mode)
        self._ask()
        return self

    def _ask(self) -> None:
        """Tell the decoder which of its maps are read; not in `forward`, which torch.compile wants without effects."""
        self.decoder.wanted = {level for each in self._parts().values() for head in each for level in head.levels}

    def _parts(self) -> dict[str, list[Head]]:
        """What answers for each head, stage by stage."""
        found: dict[str, list[Any]] = {name: [head] for name, head in self.heads.items()}
        for name, each in self.stages.items():
            found[name] = [*cast(nn.ModuleList, each), *found[name]]
        if not self.training:
            found = {name: [each[-1 - self.pruned]] for name, each in found.items()}
        return found


class Head(nn.Module):
    """A convolution on each map of `levels`; several levels become one row of cells, (B, C, sum of h * w)."""

    def __init__(self, spec: HeadSpec, decoder: Decoder, levels: tuple[int, ...], kernel: int) -> None:
        super().__init__()
        self.levels = levels
        self.convs = nn.ModuleList(
            nn.Conv2d(decoder.channels[level], spec.channels, kernel, padding=kernel // 2) for level in self.levels
        )
        for conv in self.convs:
            assert isinstance(conv, nn.Conv2d)
            # Numbers to regress begin near zero (as HRNet's heat maps do), logits at the scale of their input.
            if spec.kind == "values":
                nn.init.normal_(conv.weight, std=0.001)
            else:
                nn.init.xavier_uniform_(conv.weight)
            nn.init.zeros_(conv.bias)  # pyright: ignore[reportArgumentType]

    def forward(self, maps: list[Tensor]) -> Tensor:
        answers = [conv(maps[level]) for conv, level in zip(self.convs, self.levels, strict=True)]
        return answers[0] if len(answers) == 1 else torch.cat([answer.flatten(2) for answer in answers], 2)


def cut(maps: Sequence[Tensor], strides: Sequence[int], pyramid: Pyramid) -> list[Tensor]:
    """Maps of at most ceil(size / stride) cells: where the encoder rounded up, a decoder may stand out by a row."""
    assert pyramid.size is not None
    height, width = pyramid.size
    return [x[..., : -(-height // stride), : -(-width // stride)] for x, stride in zip(maps, strides, strict=True)]


def levels(name: str, spec: HeadSpec, decoder: Decoder) -> tuple[int, ...]:
    """Which of the decoder's maps a head reads: those of its strides, or the finest map if it wants one finer still."""
    finest = min(decoder.strides)
    wanted = (max(spec.strides[0], finest),) if len(spec.strides) == 1 else spec.strides
    if missing := [stride for stride in wanted if stride not in decoder.strides]:
        raise UserError(
            f"head '{name}' wants a map of stride {missing[0]}, but the decoder's strides are "
            f"{', '.join(str(stride) for stride in decoder.strides)}; choose another decoder, or set decoder.stride"
        )
    # Of several maps of one stride the last has seen most.
    return tuple(len(decoder.strides) - 1 - decoder.strides[::-1].index(stride) for stride in wanted)


def earlier(name: str, levels: tuple[int, ...], count: int) -> range:
    """The `count` maps before the one that a head reads."""
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
