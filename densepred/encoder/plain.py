"""The contracting path of U-Net (arXiv 1505.04597), with padding so that sizes stay."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from densepred.encoder.activation_checkpointing import Checkpointed
from densepred.nn import initialise, make_block
from densepred.ops.geometry.mirror import continued
from densepred.types import Pyramid


class Plain(Checkpointed):
    """Two 3x3 convolutions per level and 2x2 max pooling between levels; `dropout` acts on the deepest level.

    `block` is plain, or residual: a shortcut past the two convolutions. Images that would vanish in the poolings are
    continued by reflection, to one pixel of the deepest level; models crop the maps to the size of the image.
    """

    def __init__(
        self,
        in_channels: int,
        widths: Sequence[int] = (16, 32, 64, 128, 256),
        norm: str = "batch",
        activation: str = "relu",
        dropout: float = 0.0,
        block: str = "plain",
    ) -> None:
        super().__init__()
        self.channels = tuple(widths)
        self.strides = tuple(2**i for i in range(len(widths)))
        self.pooled = (None, *self.channels[:-1])
        self.levels = nn.ModuleList(
            make_block(block, before, after, norm, activation)
            for before, after in zip((in_channels, *widths[:-1]), widths, strict=True)
        )
        self.dropout = nn.Dropout(dropout)
        initialise(self)

    def forward(self, image: Tensor) -> Pyramid:
        features: list[Tensor] = []
        indices: list[Tensor | None] = []
        least, argmax = self.strides[-1], None
        x = continued(image, max(least, image.shape[-2]), max(least, image.shape[-1]))
        for i, level in enumerate(self.levels):
            if i > 0:
                x, argmax = F.max_pool2d(x, 2, return_indices=True)
            x = self.block(level, x)
            features.append(x)
            indices.append(argmax)
        features[-1] = self.dropout(features[-1])
        return Pyramid(features, indices)
