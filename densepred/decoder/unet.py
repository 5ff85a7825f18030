"""The expanding path of U-Net (arXiv 1505.04597), for any encoder; without skips, SegNet's (arXiv 1511.00561)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from densepred.contracts import Decoder, Encoder, UpsampleFactory
from densepred.nn import initialise, two_convs
from densepred.types import Pyramid, UserError


class UNet(Decoder):
    """Upsample to the size of the next level, join that level, convolve twice; down to `stride`.

    `widths` has one number a step, the deepest first; null makes each step as wide as the encoder's level, at most 256,
    and, for an encoder that begins coarse, at most 16 times the stride. `narrow` lets the upsampler change the width;
    without it the convolutions do, as in segmentation_models.pytorch.
    """

    def __init__(
        self,
        encoder: Encoder,
        upsample: UpsampleFactory,
        widths: Sequence[int] | None = None,
        skips: bool = True,
        narrow: bool = True,
        stride: int = 1,
        norm: str = "batch",
        activation: str = "relu",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.strides = _steps(encoder.strides, stride)
        joined = [i for i in reversed(range(len(encoder.channels) - 1)) if encoder.strides[i] >= stride]
        self.joined, self.skips = len(joined), skips
        self.channels = tuple(widths or _widths(encoder, self.strides))
        if len(self.channels) != len(self.strides):
            raise UserError(
                f"decoder.widths has {len(self.channels)} numbers; this encoder takes {len(self.strides)}, one "
                f"for each of the strides {', '.join(str(one) for one in self.strides)}"
            )
        self.ups, self.blocks = nn.ModuleList(), nn.ModuleList()
        wide, coarse = encoder.channels[-1], encoder.strides[-1]
        for step, (width, fine) in enumerate(zip(self.channels, self.strides, strict=True)):
            pooled = encoder.pooled[joined[step] + 1] if step < self.joined else None
            skip = encoder.channels[joined[step]] if skips and step < self.joined else 0
            risen = width if narrow else wide
            self.ups.append(upsample(wide, risen, pooled, factor=coarse // fine))
            self.blocks.append(two_convs(risen + skip, width, norm, activation))
            wide, coarse = width, fine
        initialise(self.blocks)
        self.dropout = nn.Dropout(dropout)

    def forward(self, pyramid: Pyramid) -> list[Tensor]:
        x, levels = pyramid.features[-1], pyramid.features[:-1]
        maps: list[Tensor] = []
        for step, (up, block) in enumerate(zip(self.ups, self.blocks, strict=True)):
            if step < self.joined:
                skip = levels[-1 - step]
                x = up(x, tuple(skip.shape[-2:]), pyramid.indices[-1 - step])
                x = torch.cat([x, skip], 1) if self.skips else x
            else:
                x = up(x, (2 * x.shape[-2], 2 * x.shape[-1]), None)
            x = block(x)
            maps.append(x)
        return [*maps[:-1], self.dropout(maps[-1])]


def _steps(strides: Sequence[int], finest: int) -> tuple[int, ...]:
    """The strides to climb to: those of the encoder's levels, then halves of the last while it can be halved."""
    steps = [stride for stride in reversed(strides[:-1]) if stride >= finest]
    last = (steps or strides)[-1]
    while last >= 2 * finest and last % 2 == 0:
        last //= 2
        steps.append(last)
    if not steps:
        raise UserError(f"decoder.stride={finest} is no finer than the encoder's {strides[-1]}; give a smaller one")
    return tuple(steps)


def _widths(encoder: Encoder, strides: Sequence[int]) -> tuple[int, ...]:
    """As wide as the encoder's levels, or, where it begins coarse, as segmentation_models.pytorch does: 256 to 16."""
    own = {stride: width for width, stride in zip(encoder.channels, encoder.strides, strict=True)}
    if encoder.strides[0] == 1:
        return tuple(min(own[stride], 256) for stride in strides)
    return tuple(min(own.get(stride, 256), 256, 16 * stride) for stride in strides)
