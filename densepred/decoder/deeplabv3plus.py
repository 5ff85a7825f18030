"""DeepLabV3+ (arXiv 1802.02611): the pyramid of DeepLabV3, sharpened by one shallow level of the encoder."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from densepred.contracts import Decoder, Encoder, UpsampleFactory
from densepred.decoder.deeplabv3 import ASPP, ATROUS, rates_at
from densepred.nn import ConvNormAct, SeparableConvNormAct, initialise
from densepred.types import Pyramid, UserError


class DeepLabV3Plus(Decoder):
    """One map at the stride of the shallow level: the deepest level of at most `stride`, or the encoder's first.

    `atrous_rates` are those of output stride 16: doubled at 8, halved at 32. `separable` makes every 3x3 convolution
    depthwise, followed by a 1x1, with norm and activation between them if `between`. `mix` adds a 3x3 after the
    pyramid. segmentation_models.pytorch has rates (12, 24, 36), convs=1, mix=true, separable=true, between=false.
    """

    def __init__(
        self,
        encoder: Encoder,
        upsample: UpsampleFactory,
        width: int = 256,
        atrous_rates: Sequence[int] = (6, 12, 18),
        low_width: int = 48,
        stride: int = 4,
        convs: int = 2,
        mix: bool = False,
        separable: bool = False,
        between: bool = True,
        norm: str = "batch",
        activation: str = "relu",
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        if convs < 1:
            raise UserError(f"decoder.convs: {convs}; give 1 or more")
        self.atrous_rates = list(atrous_rates)
        self.low = low_level(encoder.strides, stride)
        coarse, fine = encoder.strides[-1], encoder.strides[self.low]
        self.channels, self.strides = (width,), (fine,)
        make = partial(SeparableConvNormAct, between=between) if separable else ConvNormAct
        conv = partial(make, norm=norm, activation=activation)
        point = partial(ConvNormAct, kernel=1, norm=norm, activation=activation)
        rates, atrous = rates_at(coarse, atrous_rates), make if separable else ATROUS
        self.aspp = ASPP(encoder.channels[-1], width, rates, norm, activation, dropout, atrous)
        self.mix = conv(width, width) if mix else nn.Identity()
        self.reduce = point(encoder.channels[self.low], low_width)
        self.convs = nn.Sequential(*(conv(width if i else low_width + width, width) for i in range(convs)))
        initialise(self)
        self.adjacent = self.low == len(encoder.strides) - 2
        self.upsample = upsample(width, width, encoder.pooled[-1] if self.adjacent else None, factor=coarse // fine)

    def forward(self, pyramid: Pyramid) -> list[Tensor]:
        low = self.reduce(pyramid.features[self.low])
        x = self.mix(self.aspp(pyramid.features[-1]))
        x = self.upsample(x, (low.shape[-2], low.shape[-1]), pyramid.indices[-1] if self.adjacent else None)
        return [self.convs(torch.cat([x, low], 1))]


def low_level(strides: Sequence[int], stride: int) -> int:
    """Return the shallow level that sharpens the pyramid; raise UserError if the encoder has one level."""
    if len(strides) < 2:
        raise UserError("decoder=deeplabv3plus needs an encoder of two levels or more; use decoder=deeplabv3")
    return max((i for i, one in enumerate(strides[:-1]) if one <= stride), default=0)
