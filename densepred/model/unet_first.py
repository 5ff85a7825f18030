"""U-Net as it was first published: convolutions without padding. https://arxiv.org/abs/1505.04597

B images, C channels, H x W an image, h x w its output without padding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from densepred.contracts import Model, Upsample, UpsampleFactory
from densepred.nn import Levels, Normalise, initialise, make_activation, make_norm, output_axes
from densepred.ops.geometry.mirror import mirrored
from densepred.ops.geometry.pad import crop
from densepred.types import ChannelAxes, HeadSpec, Pyramid, UserError


class UNetFirst(Normalise, Model):
    """U-Net without padding. Images of any size are padded by reflection so that every pixel is predicted.

    `valid` takes them unpadded. `width` is that of the first level and doubles with each of the `depth` poolings;
    dropout acts on the two deepest levels, before they are pooled, cropped or enlarged, as in the network that was
    released with the paper.
    """

    def __init__(
        self,
        heads: Mapping[str, HeadSpec],
        channels: int,
        mean: Sequence[float],
        std: Sequence[float],
        upsample: UpsampleFactory,
        width: int = 64,
        depth: int = 4,
        norm: str = "none",
        activation: str = "relu",
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        if width < 1 or depth < 1:
            raise UserError(f"model.width={width} model.depth={depth}; give 1 or more of both")
        _check(heads)
        widths = [width * 2**level for level in range(depth + 1)]
        self.step = 2**depth  # a window that is moved by this sees the same poolings
        self.margin = 6 * self.step - 4  # pixels at each edge that are context only
        # An input of `smallest` gives the fewest rows that are at least one.
        self.smallest = self.fit(2 * self.margin + self.step)
        self.register_statistics(mean, std)
        self.downs = nn.ModuleList(
            _block(before, after, norm, activation) for before, after in pairwise((channels, *widths))
        )
        pairs = [(deep, shallow) for shallow, deep in reversed(list(pairwise(widths)))]
        self.rises = nn.ModuleList(_rise(upsample, deep, shallow) for deep, shallow in pairs)
        self.ups = nn.ModuleList(_block(2 * shallow, shallow, norm, activation) for _, shallow in pairs)
        self.dropout = nn.Dropout(dropout)
        self.levels = Levels([2**level for level in range(depth + 1)])
        self.heads = nn.ModuleDict({name: nn.Conv2d(width, spec.channels, 1) for name, spec in heads.items()})
        for part in (self.downs, self.ups, self.heads):
            initialise(part)

    def channel_axes(self) -> ChannelAxes:
        found: ChannelAxes = {}
        for name, conv in self.heads.items():
            found |= output_axes(conv, f"heads.{name}", name)
        return found

    def fit(self, length: int) -> int:
        """Return the largest side of an input without padding up to `length`; may be less than `smallest`."""
        return (length + 4) // self.step * self.step - 4

    def forward(self, image: Tensor) -> dict[str, list[Tensor]]:
        """Predict (B, channels, H, W) for images (B, C, H, W) of any size."""
        height, width = image.shape[-2:]
        more = self.margin + self.step - 1
        rows, columns = (
            (-self.margin, self.fit(length + self.margin + more) - self.margin) for length in (height, width)
        )
        answers = self.valid(mirrored(image, rows, columns))
        return {name: [crop(stage, height, width) for stage in stages] for name, stages in answers.items()}

    def valid(self, image: Tensor) -> dict[str, list[Tensor]]:
        """Predict (B, channels, h, w) for (B, C, h + 2 margin, w + 2 margin): 572 -> 388 at the paper's depth.

        Raises UserError if a pooling would meet an odd side or nothing would be left.
        """
        for length in image.shape[-2:]:
            if length < self.smallest or self.fit(length) != length:
                raise UserError(
                    f"model=unet_first: an image of {image.shape[-2]}x{image.shape[-1]} does not fit without padding; "
                    f"give sides of {self.smallest} plus a multiple of {self.step}"
                )
        x = self.normalise(image)
        features: list[Tensor] = []
        indices: list[Tensor | None] = [None]
        for level, down in enumerate(self.downs):
            if level > 0:
                x, argmax = F.max_pool2d(x, 2, return_indices=True)
                indices.append(argmax)
            x = down(x)
            x = self.dropout(x) if level >= len(self.downs) - 2 else x
            features.append(x)
        levels = self.levels(Pyramid(features, indices))
        skips, x = levels.features[:-1], levels.features[-1]
        for rise, up in zip(self.rises, self.ups, strict=True):
            size = (2 * x.shape[-2], 2 * x.shape[-1])
            skip, argmax = skips.pop(), indices.pop()
            assert argmax is not None
            x = rise(x, size, _crop_indices(argmax, skip, x))
            x = up(torch.cat([_crop(skip, x), x], 1))
        return {name: [head(x)] for name, head in self.heads.items()}


def _block(before: int, after: int, norm: str, activation: str) -> nn.Sequential:
    """Return two 3x3 convolutions, each of which takes a pixel off every edge."""
    layers = []
    for width in (before, after):
        conv = nn.Conv2d(width, after, 3, bias=norm == "none")
        layers += [conv, make_norm(norm, after), make_activation(activation)]
    return nn.Sequential(*layers)


def _rise(upsample: UpsampleFactory, deep: int, shallow: int) -> Upsample:
    """Return the upsampling between two levels; the pooled map has the width of the shallower."""
    return upsample(deep, shallow, shallow, factor=2)


def _crop(x: Tensor, like: Tensor) -> Tensor:
    """Crop the center of x (..., H, W) to the size of `like`."""
    top, left = ((x.shape[axis] - like.shape[axis]) // 2 for axis in (-2, -1))
    return x[..., top : top + like.shape[-2], left : left + like.shape[-1]]


def _crop_indices(argmax: Tensor, pooled: Tensor, x: Tensor) -> Tensor:
    """Crop the pooling indices to the center, and count them in the center of the map that was pooled.

    argmax (B, C, h, w) counts the pixels of `pooled`; x has the size after cropping.
    """
    kept = _crop(argmax, x)
    top, left = (
        argmax.shape[axis] - x.shape[axis] for axis in (-2, -1)
    )  # half of it is cropped, and a location is two pixels
    row = kept.div(pooled.shape[-1], rounding_mode="floor") - top
    column = kept.remainder(pooled.shape[-1]) - left
    return row * (2 * x.shape[-1]) + column


def _check(heads: Mapping[str, HeadSpec]) -> None:
    for name, spec in heads.items():
        if spec.strides != (1,):
            strides = ", ".join(str(stride) for stride in spec.strides)
            raise UserError(
                f"head '{name}' wants maps of stride {strides}, but model=unet_first predicts at stride 1; "
                "choose model=unet or another"
            )
