"""DeepLabV3's head (arXiv 1706.05587): atrous spatial pyramid pooling, in the arrangement of torchvision."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from densepred.contracts import Decoder, Encoder
from densepred.nn import ConvNormAct, initialise, make_activation, require_odd
from densepred.ops.atrous import AtrousConv2d
from densepred.types import Pyramid, UserError

ATROUS = partial(ConvNormAct, layer=AtrousConv2d)
"""Makes a 3x3 convolution of a high rate, its norm and its activation."""


class ASPP(nn.Module):
    """A 1x1 convolution, a 3x3 for each rate and the mean of the image, concatenated and mixed.

    Its keys are those of `torchvision.models.segmentation.deeplabv3.ASPP`. `conv` makes the 3x3 convolutions, and
    `kernel` is that of the mixing one. Without `image_norm` the mean of the image has neither norm nor bias.
    """

    def __init__(
        self,
        in_channels: int,
        width: int,
        atrous_rates: Sequence[int],
        norm: str,
        activation: str,
        dropout: float,
        conv: Callable[..., nn.Module] = ATROUS,
        kernel: int = 1,
        image_norm: bool = True,
    ) -> None:
        super().__init__()
        pool = ConvNormAct(in_channels, width, 1, norm=norm, activation=activation)
        if not image_norm:
            pool = nn.Sequential(nn.Conv2d(in_channels, width, 1, bias=False), make_activation(activation))
        self.convs = nn.ModuleList(
            [
                ConvNormAct(in_channels, width, 1, norm=norm, activation=activation),
                *(conv(in_channels, width, dilation=rate, norm=norm, activation=activation) for rate in atrous_rates),
                nn.Sequential(nn.AdaptiveAvgPool2d(1), *pool),
            ]
        )
        mix = ConvNormAct(width * len(self.convs), width, kernel, norm=norm, activation=activation)
        self.project = nn.Sequential(*mix, nn.Dropout(dropout))

    def forward(self, x: Tensor) -> Tensor:
        branches = [conv(x) for conv in self.convs]
        branches[-1] = branches[-1].expand(-1, -1, *x.shape[-2:])
        return self.project(torch.cat(branches, 1))


class DeepLabV3(Decoder):
    """One map at the encoder's last stride. `atrous_rates` are those of stride 16: doubled at 8, halved at 32.

    The pyramid ends with a convolution of `kernel`, and a 3x3 one follows with `mix`.
    """

    def __init__(
        self,
        encoder: Encoder,
        width: int = 256,
        atrous_rates: Sequence[int] = (6, 12, 18),
        norm: str = "batch",
        activation: str = "relu",
        dropout: float = 0.5,
        kernel: int = 1,
        mix: bool = True,
    ) -> None:
        super().__init__()
        require_odd("decoder.kernel", kernel)
        self.channels, self.strides = (width,), (encoder.strides[-1],)
        self.atrous_rates = list(atrous_rates)
        scaled = rates_at(encoder.strides[-1], atrous_rates)
        self.aspp = ASPP(encoder.channels[-1], width, scaled, norm, activation, dropout, kernel=kernel)
        self.mix = ConvNormAct(width, width, norm=norm, activation=activation) if mix else nn.Identity()
        initialise(self)

    def forward(self, pyramid: Pyramid) -> list[Tensor]:
        return [self.mix(self.aspp(pyramid.features[-1]))]


def rates_at(stride: int, atrous_rates: Sequence[int]) -> list[int]:
    """Scale the rates of output stride 16 to another stride, so that the field of view in the image stays."""
    if min(atrous_rates, default=0) < 1:
        raise UserError(f"decoder.atrous_rates: {list(atrous_rates)}; give one positive number or more")
    return [max(1, rate * 16 // stride) for rate in atrous_rates]
