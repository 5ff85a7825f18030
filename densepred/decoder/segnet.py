"""SegNet's decoder (arXiv 1511.00561): the encoder's mirror image, without skips, meant for `upsample=unpool`."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from densepred.contracts import Decoder, Encoder, UpsampleFactory
from densepred.decoder.levels import drop_finest
from densepred.decoder.unet import beyond, climb
from densepred.nn import ConvNormAct, initialise
from densepred.types import Pyramid, UserError

WIDEST = 512  # of VGG-16, which the paper mirrors


class SegNet(Decoder):
    """Each step upsamples to the next level and convolves at its width; the last convolution has the next width.

    `depths` counts the convolutions of each step, the deepest first; further steps have as many as its first; with
    fewer steps its last numbers count. The paper's decoder has 13: the last is the head, so `model.kernel` is 3 there.
    `widths` has one number per step, the deepest first; null takes those of the encoder's levels, at most 512.
    """

    def __init__(
        self,
        encoder: Encoder,
        upsample: UpsampleFactory,
        depths: Sequence[int] = (3, 3, 3, 2, 1),
        widths: Sequence[int] | None = None,
        stride: int = 1,
        norm: str = "batch",
        activation: str = "relu",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if min(depths, default=0) < 1:
            raise UserError(f"decoder.depths: {list(depths)}; give at least one convolution per step")
        self.strides = climb(encoder.strides, stride)
        joined = [i for i in reversed(range(len(encoder.channels) - 1)) if encoder.strides[i] >= stride]
        self.joined = len(joined)
        own = [min(encoder.channels[i], WIDEST) for i in joined]
        own += [min(256, 16 * fine) for fine in self.strides[self.joined :]]
        inner = tuple(widths or own)
        if len(inner) != len(self.strides):
            raise UserError(
                f"decoder.widths has {len(inner)} numbers; give this encoder {len(self.strides)}, one "
                f"for each of the strides {', '.join(str(one) for one in self.strides)}"
            )
        self.channels = (*inner[1:], inner[-1])
        counts = [*[depths[0]] * (len(inner) - len(depths)), *depths][-len(inner) :]
        self.ups, self.blocks = nn.ModuleList(), nn.ModuleList()
        wide, coarse = encoder.channels[-1], encoder.strides[-1]
        for step, (count, width, leave, fine) in enumerate(
            zip(counts, inner, self.channels, self.strides, strict=True)
        ):
            pooled = encoder.pooled[joined[step] + 1] if step < self.joined else None
            self.ups.append(upsample(wide, width, pooled, factor=coarse // fine))
            self.blocks.append(
                nn.Sequential(
                    *(ConvNormAct(width, width, norm=norm, activation=activation) for _ in range(count - 1)),
                    ConvNormAct(width, leave, norm=norm, activation=activation),
                )
            )
            wide, coarse = leave, fine
        initialise(self.blocks)
        self.dropout = nn.Dropout(dropout)

    def forward(self, pyramid: Pyramid) -> list[Tensor]:
        x = pyramid.features[-1]
        maps: list[Tensor] = []  # torch.compile cannot trace list[Tensor]()
        for step, (up, block) in enumerate(zip(self.ups, self.blocks, strict=True)):
            if step < self.joined:
                size = pyramid.features[-2 - step].shape[-2:]
                x = up(x, (size[0], size[1]), pyramid.indices[-1 - step])
            else:
                x = up(x, beyond(pyramid, x, self.strides[step]), None)
            x = block(x)
            maps.append(x)
        return drop_finest(self, maps, self.dropout)
