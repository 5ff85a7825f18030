"""A decoder of Panoptic-DeepLab (arXiv 1911.10194): an atrous pyramid, sharpened step by step by shallow levels."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn

from densepred.contracts import Decoder, Encoder, UpsampleFactory
from densepred.decoder.deeplabv3 import ASPP, rates_at
from densepred.nn import ConvNormAct, SeparableConvNormAct, initialise, require_odd
from densepred.types import Pyramid, UserError


class PanopticDeepLab(Decoder):
    """One map at `stride`, or at that of the level that comes nearest to it.

    On the way up, shallow levels at twice the stride each are narrowed to `low_widths`, coarse to fine. They are joined
    to the enlarged map, and mixed by a depthwise `kernel` and a 1x1 convolution. The paper has [64, 32] above output
    stride 16, the published code [128, 64, 32] above 32. `atrous_rates` are those of stride 16: doubled at 8, halved at
    32. Without `image_norm` the pyramid's mean of the image has neither norm nor bias, as in the published code.
    """

    def __init__(
        self,
        encoder: Encoder,
        upsample: UpsampleFactory,
        width: int = 256,
        pyramid_width: int = 256,
        atrous_rates: Sequence[int] = (6, 12, 18),
        low_widths: Sequence[int] = (64, 32),
        stride: int = 4,
        kernel: int = 5,
        norm: str = "batch",
        activation: str = "relu",
        dropout: float = 0.5,
        image_norm: bool = True,
    ) -> None:
        super().__init__()
        require_odd("decoder.kernel", kernel)
        # Kept because equal weights give other outputs with other settings.
        self.atrous_rates, self.image_norm = list(atrous_rates), image_norm
        self.low, low_widths = shallow_levels(encoder.strides, stride, low_widths)
        path = [encoder.strides[-1], *(encoder.strides[level] for level in self.low)]
        self.channels, self.strides = (width,), (path[-1],)
        point = partial(ConvNormAct, kernel=1, norm=norm, activation=activation)
        mix = partial(SeparableConvNormAct, kernel=kernel, norm=norm, activation=activation)
        scaled = rates_at(encoder.strides[-1], atrous_rates)
        deep = encoder.channels[-1]
        self.aspp = ASPP(deep, pyramid_width, scaled, norm, activation, dropout, image_norm=image_norm)
        arriving = [pyramid_width, *[width] * (len(self.low) - 1)]  # the width of the enlarged map of each step
        self.project = nn.ModuleList(
            point(encoder.channels[level], low) for level, low in zip(self.low, low_widths, strict=True)
        )
        self.fuse = nn.ModuleList(mix(wide + low, width) for wide, low in zip(arriving, low_widths, strict=True))
        initialise(self)
        # The pooling that each step undoes, where it leads to the next level
        steps = pairwise([len(encoder.strides) - 1, *self.low])
        self.pooling = [upper if lower == upper - 1 else None for upper, lower in steps]
        pooled = [None if level is None else encoder.pooled[level] for level in self.pooling]
        self.upsample = nn.ModuleList(
            upsample(wide, wide, indices, factor=coarse // fine)
            for wide, indices, (coarse, fine) in zip(arriving, pooled, pairwise(path), strict=True)
        )

    def forward(self, pyramid: Pyramid) -> list[Tensor]:
        x = self.aspp(pyramid.features[-1])
        steps = zip(self.low, self.pooling, self.project, self.upsample, self.fuse, strict=True)
        for level, pooling, project, upsample, fuse in steps:
            low = project(pyramid.features[level])
            indices = None if pooling is None else pyramid.indices[pooling]
            x = fuse(torch.cat([upsample(x, (low.shape[-2], low.shape[-1]), indices), low], 1))
        return [x]


def shallow_levels(strides: Sequence[int], stride: int, widths: Sequence[int]) -> tuple[list[int], list[int]]:
    """Return the levels that sharpen the pyramid, coarse to fine, and their widths.

    The last is the level of `stride`, those before it of 2, 4, ... times it: the first level with that stride, else
    the deepest that is finer, else the first. A level chosen several times is used once, with the last width.
    """
    if len(strides) < 2 or not widths:
        raise UserError(
            "decoder=panoptic_deeplab needs an encoder of two levels or more and one of decoder.low_widths or more; "
            "use decoder=deeplabv3"
        )
    chosen: dict[int, int] = {}
    for power, low in zip(reversed(range(len(widths))), widths, strict=True):
        finer = [one for one in strides[:-1] if one <= stride * 2**power]
        chosen[strides.index(max(finer, default=strides[0]))] = low
    return list(chosen), list(chosen.values())
