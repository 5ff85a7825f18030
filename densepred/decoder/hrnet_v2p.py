"""HRNetV2p (arXiv 1904.04514): a feature pyramid made from the joined branches, for detection."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from densepred.contracts import Decoder, Encoder, UpsampleFactory
from densepred.decoder.hrnet_v2 import Join
from densepred.nn import ConvNormAct, initialise
from densepred.types import Pyramid, UserError


class HRNetV2p(Decoder):
    """`levels` maps of strides `stride` to `stride` * 2^(levels - 1): a 1x1 convolution, means of 2^i x 2^i, 3x3 each.

    The published one ends each map with the bare 3x3 convolution, for heads of several layers: `bare`. For heads of one
    layer norm and activation follow it. Windows that reach beyond the map average the part inside, so no row is
    lost.
    """

    def __init__(
        self,
        encoder: Encoder,
        upsample: UpsampleFactory,
        width: int = 256,
        levels: int = 5,
        stride: int = 4,
        stepwise: bool = False,
        norm: str = "batch",
        activation: str = "relu",
        bare: bool = False,
    ) -> None:
        super().__init__()
        if levels < 1:
            raise UserError(f"decoder.levels: {levels}; give 1 or more")
        self.join = Join(encoder, upsample, stride, stepwise)
        self.reduce = nn.Conv2d(self.join.channels, width, 1)
        norm, activation = ("none", "none") if bare else (norm, activation)
        self.smooth = nn.ModuleList(ConvNormAct(width, width, norm=norm, activation=activation) for _ in range(levels))
        self.channels = (width,) * levels
        self.strides = tuple(self.join.stride * 2**i for i in reversed(range(levels)))
        initialise(self.reduce)
        initialise(self.smooth)

    def forward(self, pyramid: Pyramid) -> list[Tensor]:
        x = self.reduce(self.join(pyramid))
        last = len(self.smooth) - 1
        maps = [
            conv(F.avg_pool2d(x, 2**i, ceil_mode=True))
            if self.wanted is None or last - i in self.wanted
            else x[:, :, :0, :0]
            for i, conv in enumerate(self.smooth)
        ]
        return maps[::-1]
