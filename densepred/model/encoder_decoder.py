"""Encoder, decoder and a convolution a head: the model of nearly every task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from densepred.contracts import Decoder, DecoderFactory, EncoderFactory, Model
from densepred.types import HeadSpec, UserError


class EncoderDecoder(Model):
    """Normalises its input, with the statistics that the encoder's pretrained weights expect if it has any."""

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
        self.heads = nn.ModuleDict({name: Head(name, spec, self.decoder, kernel) for name, spec in heads.items()})

    def forward(self, image: Tensor) -> dict[str, list[Tensor]]:
        maps = self.decoder(self.encoder((image - self.mean) / self.std))
        # A decoder knows no image size: where the encoder rounded up, its finest map may stand out by a row.
        size = image.shape[-2:]
        maps = [
            x[..., : -(-size[0] // stride), : -(-size[1] // stride)]
            for x, stride in zip(maps, self.decoder.strides, strict=True)
        ]
        maps[-1] = self.dropout(maps[-1])
        return {name: [head(maps)] for name, head in self.heads.items()}


class Head(nn.Module):
    """A convolution on the map of each stride; several levels become one row of cells, (B, C, sum of h * w)."""

    def __init__(self, name: str, spec: HeadSpec, decoder: Decoder, kernel: int) -> None:
        super().__init__()
        self.levels = levels(name, spec, decoder)
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
