"""FCOS (arXiv 1904.01355, 2006.09214): towers of convolutions shared by all levels of a pyramid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from densepred.contracts import Decoder, DecoderFactory, EncoderFactory, Model
from densepred.model.encoder_decoder import cut, levels
from densepred.nn import (
    Normalise,
    choose,
    exponential,
    initialise_head,
    make_activation,
    make_norm,
    output_axes,
    require_at_least_zero,
)
from densepred.types import ChannelAxes, HeadSpec, UserError

STD = 0.01  # of the weights of all convolutions to begin with, as published


class FCOS(Normalise, Model):
    """A pyramid with a tower for each list of heads in `towers`; all levels share the towers.

    A tower has `depth` 3x3 convolutions of the decoder's width, then a 3x3 convolution for each head.

    Lengths become positive by `positive`: exp, softplus, or relu as in torchvision. With `scales` each level first has
    a learnt factor of its own for them.
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
        towers: Sequence[Sequence[str]] = (("class",), ("distances", "centerness")),
        depth: int = 4,
        norm: str = "group",
        activation: str = "relu",
        positive: str = "exp",
        scales: bool = True,
    ) -> None:
        super().__init__()
        require_at_least_zero(depth, "model.depth")
        choose("model.positive", positive, POSITIVE)
        _check(towers, heads)
        self.positive, self.groups = positive, [list(tower) for tower in towers]
        self.encoder = encoder(in_channels=channels)
        self.decoder = decoder(self.encoder)
        self.register_statistics(self.encoder.mean or mean, self.encoder.std or std)
        self.lengths = {name for name, spec in heads.items() if spec.positive}
        self.levels = {name: levels(name, spec, self.decoder) for name, spec in heads.items()}
        self.decoder.wanted = {level for each in self.levels.values() for level in each}
        width = _width(self.decoder)
        self.towers = nn.ModuleList(_tower(width, depth, norm, activation) for _ in towers)
        self.heads = nn.ModuleDict(
            {name: nn.Conv2d(width, spec.channels, 3, padding=1) for name, spec in heads.items()}
        )
        scaled = sorted(self.lengths) if scales else []
        self.scales = nn.ParameterDict({name: nn.Parameter(torch.ones(len(self.levels[name]))) for name in scaled})
        self._initialise(heads)

    def _initialise(self, heads: Mapping[str, HeadSpec]) -> None:
        for part in self.towers.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.normal_(part.weight, std=STD)
                if part.bias is not None:
                    nn.init.zeros_(part.bias)
        for name, spec in heads.items():
            conv = self.heads[name]
            assert isinstance(conv, nn.Conv2d)
            initialise_head(conv, spec, STD)

    def channel_axes(self) -> ChannelAxes:
        found: ChannelAxes = {}
        for name, conv in self.heads.items():
            found |= output_axes(conv, f"heads.{name}", name)
        return found

    def forward(self, image: Tensor) -> dict[str, list[Tensor]]:
        pyramid = self.encoder(self.normalise(image))
        pyramid.size = (image.shape[-2], image.shape[-1])
        maps = cut(self.decoder(pyramid), self.decoder.strides, pyramid, self.decoder.wanted or ())
        answers: dict[str, list[Tensor]] = {}
        for tower, names in zip(self.towers, self.groups, strict=True):
            read = sorted({level for name in names for level in self.levels[name]})
            seen = {level: tower(maps[level]) for level in read}
            answers |= {name: [self._answer(name, seen)] for name in names}
        return {name: answers[name] for name in self.levels}

    def _answer(self, name: str, seen: Mapping[int, Tensor]) -> Tensor:
        """Return a head's predictions of its levels, joined: (B, C, sum of h * w), or a map if there is one level."""
        parts = [self.heads[name](seen[level]) for level in self.levels[name]]
        if name in self.lengths:
            scales = self.scales[name] if name in self.scales else [1.0] * len(parts)
            parts = [POSITIVE[self.positive](part * scale) for part, scale in zip(parts, scales, strict=True)]
        return parts[0] if len(parts) == 1 else torch.cat([part.flatten(2) for part in parts], 2)


POSITIVE = {"exp": exponential, "softplus": F.softplus, "relu": F.relu}


def _tower(width: int, depth: int, norm: str, activation: str) -> nn.Sequential:
    """Return `depth` convolutions; each has a bias beside its norm, as published."""
    parts = [
        part
        for _ in range(depth)
        for part in (nn.Conv2d(width, width, 3, padding=1), make_norm(norm, width), make_activation(activation))
    ]
    return nn.Sequential(*parts)


def _width(decoder: Decoder) -> int:
    if len(set(decoder.channels)) > 1:
        widths = ", ".join(map(str, decoder.channels))
        raise UserError(f"model=fcos shares its towers, but the decoder's maps are {widths} wide; set decoder=fpn")
    return decoder.channels[0]


def _check(towers: Sequence[Sequence[str]], heads: Mapping[str, HeadSpec]) -> None:
    named = [name for tower in towers for name in tower]
    if sorted(named) != sorted(heads):
        raise UserError(
            f"model.towers holds {', '.join(named)}, but the heads of the task are {', '.join(heads)}; give each head "
            "one tower, such as 'model.towers=[[class],[distances,centerness]]', or choose another model"
        )
