"""The expanding path of U-Net (arXiv 1505.04597), for any encoder, with additions of later papers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from densepred.contracts import Decoder, Encoder, UpsampleFactory
from densepred.decoder.attention import SCSE, AttentionGate, Open
from densepred.decoder.levels import drop_finest
from densepred.nn import ceil_div, choose, initialise, make_block
from densepred.types import Pyramid, UserError


class UNet(Decoder):
    """Upsample to the size of the next level, join that level, convolve twice; down to `stride`.

    `widths` has one number per step, the deepest first; null makes each step as wide as the encoder's level, at most
    256. For an encoder that begins coarse it is also at most 16 times the stride. `narrow` lets the upsampler change
    the width; without it the convolutions do, as in segmentation_models.pytorch.

    `block` is "plain" or "residual". `attention` is "none"; "gate", which weights the skips by the coarser map, except
    one of the image's own resolution, with too simple features (arXiv 1804.03999); or "scse" (arXiv
    1803.02579) on what is joined and again after the block.
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
        block: str = "plain",
        attention: str = "none",
    ) -> None:
        super().__init__()
        choose("decoder.attention", attention, ("none", "gate", "scse"))
        if attention == "gate" and not skips:
            raise UserError(
                "decoder.attention: gate weights skips, but decoder.skips is false; set none, or keep the skips"
            )
        self.strides = climb(encoder.strides, stride)
        joined = [i for i in reversed(range(len(encoder.channels) - 1)) if encoder.strides[i] >= stride]
        self.joined, self.skips = len(joined), skips
        self.channels = tuple(widths or natural_widths(encoder, self.strides))
        if len(self.channels) != len(self.strides):
            raise UserError(
                f"decoder.widths has {len(self.channels)} numbers; give this encoder {len(self.strides)}, one "
                f"for each of the strides {', '.join(str(one) for one in self.strides)}"
            )
        self.ups, self.blocks = nn.ModuleList(), nn.ModuleList()
        self.gates, self.enter, self.leave = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        wide, coarse = encoder.channels[-1], encoder.strides[-1]
        for step, (width, fine) in enumerate(zip(self.channels, self.strides, strict=True)):
            pooled = encoder.pooled[joined[step] + 1] if step < self.joined else None
            skip = encoder.channels[joined[step]] if skips and step < self.joined else 0
            risen = width if narrow else wide
            self.ups.append(upsample(wide, risen, pooled, factor=coarse // fine))
            gated = attention == "gate" and skip > 0 and fine > 1
            self.gates.append(AttentionGate(skip, wide, coarse // fine) if gated else Open())
            self.enter.append(SCSE(risen + skip) if attention == "scse" and skip else nn.Identity())
            self.blocks.append(make_block(block, risen + skip, width, norm, activation))
            self.leave.append(SCSE(width) if attention == "scse" else nn.Identity())
            wide, coarse = width, fine
        for parts in (self.blocks, self.gates, self.enter, self.leave):
            initialise(parts)
        self.dropout = nn.Dropout(dropout)

    def forward(self, pyramid: Pyramid) -> list[Tensor]:
        x = pyramid.features[-1]
        maps: list[Tensor] = []  # torch.compile cannot trace list[Tensor]()
        last = len(self.blocks) - 1 if self.wanted is None else max(self.wanted)
        for step, block in enumerate(self.blocks):
            if step > last:
                maps.append(x[:, :, :0, :0])
                continue
            x = self.leave[step](block(self._rise(step, x, pyramid)))
            maps.append(x)
        return drop_finest(self, maps, self.dropout)

    def _rise(self, step: int, x: Tensor, pyramid: Pyramid) -> Tensor:
        """Return the input of the block of a step: the enlarged map, joined with the skip."""
        if step >= self.joined:
            return self.ups[step](x, beyond(pyramid, x, self.strides[step]), None)
        skip = pyramid.features[-2 - step]
        risen = self.ups[step](x, (skip.shape[-2], skip.shape[-1]), pyramid.indices[-1 - step])
        if not self.skips:
            return risen
        return self.enter[step](torch.cat([risen, self.gates[step](skip, x)], 1))


def climb(strides: Sequence[int], finest: int) -> tuple[int, ...]:
    """Return the strides of the steps: those of the encoder's levels, then halves of the last down to `finest`."""
    steps = [stride for stride in reversed(strides[:-1]) if stride >= finest]
    last = (steps or strides)[-1]
    while last >= 2 * finest and last % 2 == 0:
        last //= 2
        steps.append(last)
    if not steps:
        raise UserError(f"decoder.stride={finest} is no finer than the encoder's {strides[-1]}; give a smaller one")
    return tuple(steps)


def beyond(pyramid: Pyramid, x: Tensor, stride: int) -> tuple[int, int]:
    """Return the size of a map finer than all levels: the image's at that stride, or twice that of `x` if unknown."""
    if pyramid.size is None:
        return (2 * x.shape[-2], 2 * x.shape[-1])
    return (ceil_div(pyramid.size[0], stride), ceil_div(pyramid.size[1], stride))


def natural_widths(encoder: Encoder, strides: Sequence[int]) -> tuple[int, ...]:
    """Return the widths of the encoder's levels or, if it begins coarse, those of segmentation_models.pytorch."""
    own = {stride: width for width, stride in zip(encoder.channels, encoder.strides, strict=True)}
    if encoder.strides[0] == 1:
        return tuple(min(own[stride], 256) for stride in strides)
    return tuple(min(own.get(stride, 256), 256, 16 * stride) for stride in strides)
