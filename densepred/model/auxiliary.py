"""Encoder-decoder with an auxiliary loss: a second, small decoder on one level of the encoder (arXiv 1612.01105)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from torch import Tensor, nn

from densepred.contracts import DecoderFactory, EncoderFactory
from densepred.model.encoder_decoder import EncoderDecoder, Head, cut, levels
from densepred.types import ChannelAxes, HeadSpec


class Auxiliary(EncoderDecoder):
    """Encoder-decoder in which every head has the stages [auxiliary, prediction].

    A head on several levels, or one coarser than the auxiliary map, has only its prediction. So have all of them in
    evaluation mode.
    """

    def __init__(
        self,
        encoder: EncoderFactory,
        decoder: DecoderFactory,
        auxiliary_decoder: DecoderFactory,
        heads: Mapping[str, HeadSpec],
        channels: int,
        mean: Sequence[float],
        std: Sequence[float],
        align_corners: bool = False,
        kernel: int = 1,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(
            encoder, decoder, heads, channels, mean, std, align_corners=align_corners, kernel=kernel, dropout=dropout
        )
        self.auxiliary_decoder = auxiliary_decoder(self.encoder)
        coarsest = max(self.auxiliary_decoder.strides)
        self.auxiliary_heads = nn.ModuleDict(
            {
                name: Head(spec, self.auxiliary_decoder, levels(name, spec, self.auxiliary_decoder), 1)
                for name, spec in heads.items()
                if len(spec.strides) == 1 and spec.strides[0] <= coarsest
            }
        )

        self.auxiliary_whole = {
            level
            for name, head in self.auxiliary_heads.items()
            if heads[name].strides != (1,)
            for level in cast(Head, head).levels
        }

    def channel_axes(self) -> ChannelAxes:
        found = super().channel_axes()
        for name, head in self.auxiliary_heads.items():
            found |= cast(Head, head).channel_axes(f"auxiliary_heads.{name}", name)
        return found

    def forward(self, image: Tensor) -> dict[str, list[Tensor]]:
        pyramid = self.pyramid(image)
        if not self.training:
            return self.answers(pyramid)
        early = cut(self.auxiliary_decoder(pyramid), self.auxiliary_decoder.strides, pyramid, self.auxiliary_whole)
        first = {name: [head(early)] for name, head in self.auxiliary_heads.items()}
        return {name: [*first.get(name, []), *stages] for name, stages in self.answers(pyramid).items()}
