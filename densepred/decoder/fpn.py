"""Feature pyramid network (arXiv 1612.03144): every level as wide, and each knows what the deeper ones saw."""

from __future__ import annotations

from torch import Tensor, nn

from densepred.contracts import Decoder, Encoder, UpsampleFactory
from densepred.decoder.levels import deep_to_shallow
from densepred.nn import ConvNormAct, initialise
from densepred.types import Pyramid


class FPN(Decoder):
    """One map for each of the encoder's levels down to `stride`.

    The paper ends each map by a bare 3x3 convolution, for heads of several layers; ours are one layer, so norm and
    activation follow it.
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
    ) -> None:
        super().__init__()
        self.levels = deep_to_shallow(encoder, stride)
        self.strides = tuple(encoder.strides[i] for i in self.levels)
        self.channels = (width,) * len(self.levels)
        self.laterals = nn.ModuleList(nn.Conv2d(encoder.channels[i], width, 1) for i in self.levels)
        self.smooth = nn.ModuleList(ConvNormAct(width, width, norm=norm, activation=activation) for _ in self.levels)
        initialise(self)
        self.ups = nn.ModuleList(
            upsample(width, width, encoder.pooled[i + 1], factor=encoder.strides[i + 1] // encoder.strides[i])
            for i in self.levels[1:]
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, pyramid: Pyramid) -> list[Tensor]:
        joined = [conv(pyramid.features[i]) for conv, i in zip(self.laterals, self.levels, strict=True)]
        for step, (up, i) in enumerate(zip(self.ups, self.levels[1:], strict=True)):
            size = (joined[step + 1].shape[-2], joined[step + 1].shape[-1])
            joined[step + 1] = joined[step + 1] + up(joined[step], size, pyramid.indices[i + 1])
        maps = [
            conv(x) if self.wanted is None or level in self.wanted else x[:, :, :0, :0]
            for level, (conv, x) in enumerate(zip(self.smooth, joined, strict=True))
        ]
        return [*maps[:-1], self.dropout(maps[-1])]
