"""Fully convolutional networks (arXiv 1411.4038, 1605.06211): class scores of several levels, enlarged and summed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from densepred.contracts import EncoderFactory, Model
from densepred.nn import Normalise, ceil_div, initialise, initialise_head, output_axes, require_odd
from densepred.ops.geometry.pad import crop, pad
from densepred.ops.resize.bilinear_kernel import bilinear_filter
from densepred.types import ChannelAxes, HeadSpec, Pyramid, UserError


class FCN(Normalise, Model):
    """FCN-32s, 16s or 8s by `stride`, on any encoder; each head predicts at its stride, 1 being the image's size.

    The levels down to `stride` are scored by 1x1 convolutions; from the deepest on, scores are enlarged by transposed
    convolutions without bias, which begin as bilinear interpolation, cropped, and added to the next. Where the encoder
    max-pools, the output of the pooling is scored, as in the papers, else the level itself. `scales` multiply the
    maps of the skips before they are scored ("at once": 0.01, 0.0001). `width` puts fc6 (`kernel` x `kernel`) and fc7
    (1x1) in between, each with ReLU and dropout.

    `padding` = 0 aligns all maps at the image's corner: fc6 keeps the size, and an enlarged map repeats its border and
    is cropped. Otherwise the image gets so many zeros around it, fc6 and the transposed convolutions have no padding,
    and maps are cropped to their overlap: 99 gives the release of the authors, in which the first convolution pads by
    100.
    """

    def __init__(
        self,
        encoder: EncoderFactory,
        heads: Mapping[str, HeadSpec],
        channels: int,
        mean: Sequence[float],
        std: Sequence[float],
        stride: int = 8,
        learn_upsampling: bool = False,
        scales: Sequence[float] | None = None,
        width: int | None = None,
        kernel: int = 7,
        dropout: float = 0.5,
        padding: int = 0,
    ) -> None:
        super().__init__()
        require_odd("model.kernel", kernel)
        if padding < 0:
            raise UserError(f"model.padding: {padding}; give 0, or 99 as the authors' release has")
        self.padding = padding
        self.encoder = encoder(in_channels=channels)
        self.register_statistics(self.encoder.mean or mean, self.encoder.std or std)
        self.skips = skips(self.encoder.strides, stride)
        self.scales = tuple(scales or [1.0] * len(self.skips))
        if len(self.scales) != len(self.skips):
            raise UserError(
                f"model.scales has {len(self.scales)} numbers for {len(self.skips)} skips; give one each, the deepest "
                "first, or null"
            )
        deep, valid = self.encoder.channels[-1], padding > 0
        self.fc = classifier(deep, width, kernel, dropout, valid) if width else nn.Identity()
        self.least = kernel if width and valid else 1
        wide = (width or deep, *(self.encoder.pooled[i] or self.encoder.channels[i] for i in self.skips))
        steps = (self.encoder.strides[-1], *(self.encoder.strides[i] for i in self.skips))
        self.heads, self.ups = nn.ModuleDict(), nn.ModuleDict()
        self.offsets: dict[str, list[int]] = {}
        self.ends: dict[str, int] = {}
        for name, spec in heads.items():
            climb, summed = route(name, spec, steps, padding)
            self.heads[name] = nn.ModuleList(score(wide[i], spec, first=i == 0) for i in range(summed))
            self.ups[name] = nn.ModuleList(
                Enlarge(spec.channels, before // after, learn_upsampling, valid) for before, after in pairwise(climb)
            )
            self.offsets[name] = offsets(climb, self.least // 2) if valid else [0] * len(climb)
            self.ends[name] = climb[-1]

    def forward(self, image: Tensor) -> dict[str, list[Tensor]]:
        x = self.normalise(image)
        pyramid = self.encoder(F.pad(x, [self.padding] * 4) if self.padding else x)
        if min(pyramid.features[-1].shape[-2:]) < self.least:
            raise self._too_small(image)
        maps = [self.fc(pyramid.features[-1])]
        for level, scale in zip(self.skips, self.scales, strict=True):
            x = scored(pyramid, level)
            maps.append(x * scale if scale != 1 else x)
        return {name: [self._head(name, maps, image)] for name in self.heads}

    def channel_axes(self) -> ChannelAxes:
        found: ChannelAxes = {}
        for name, scores in self.heads.items():
            for number, conv in enumerate(cast(nn.ModuleList, scores)):
                found |= output_axes(conv, f"heads.{name}.{number}", name)
        for name, ups in self.ups.items():
            for number, up in enumerate(cast(nn.ModuleList, ups)):
                dims = (0, 1) if cast(Enlarge, up).conv.groups == 1 else (0,)
                found[f"ups.{name}.{number}.conv.weight"] = dict.fromkeys(dims, (name,))
        return found

    def _head(self, name: str, maps: list[Tensor], image: Tensor) -> Tensor:
        scores, ups, at = self.heads[name], self.ups[name], self.offsets[name]
        assert isinstance(scores, nn.ModuleList)
        assert isinstance(ups, nn.ModuleList)
        stride = self.ends[name]
        size = (ceil_div(image.shape[-2], stride), ceil_div(image.shape[-1], stride))
        x, begin = scores[0](maps[0]), at[0]
        for i, up in enumerate(ups, 1):
            if i < len(scores):
                skip = scores[i](maps[i])
                x, skip = meet(up(x, (skip.shape[-2], skip.shape[-1])), skip, at[i])
                x, begin = x + skip, max(at[i], 0)
            else:
                x, begin = up(x, size), at[i]
        start = self.padding // stride - begin
        x = x[..., max(start, 0) :, max(start, 0) :][..., : size[0], : size[1]]
        if self.padding and (start < 0 or x.shape[-2:] != size):
            raise self._too_small(image)
        return x

    def _too_small(self, image: Tensor) -> UserError:
        return UserError(
            f"model.padding: {self.padding} is too little for the scores to cover an image of "
            f"{image.shape[-2]}x{image.shape[-1]}; give 99, or 0 to keep all maps aligned"
        )


class Enlarge(nn.Module):
    """A transposed convolution of twice the factor, no bias, that begins as bilinear interpolation of each channel.

    Learned, it mixes all channels; fixed, it has one filter per channel. `valid` returns the whole output; else the
    output has the given size and the map is padded by its repeated border: `F.interpolate` to a multiple of the size.
    """

    def __init__(self, channels: int, factor: int, learned: bool, valid: bool) -> None:
        super().__init__()
        kernel = 2 * factor - factor % 2
        self.factor, self.valid = factor, valid
        trim = 0 if valid else (kernel - factor) // 2 + factor
        groups = 1 if learned else channels
        self.conv = nn.ConvTranspose2d(channels, channels, kernel, factor, trim, groups=groups, bias=False)
        each = torch.eye(channels) if learned else torch.ones(channels, 1)
        with torch.no_grad():
            self.conv.weight.copy_(each[..., None, None] * bilinear_filter(kernel))
        self.conv.requires_grad_(learned)

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        if self.valid:
            return self.conv(x)
        return crop(self.conv(surround(pad(x, size, self.factor))), *size)


def surround(x: Tensor) -> Tensor:
    """Repeat the border of (B, C, h, w) once on every side.

    By concatenation: the gradient of a replicating pad is not bit-reproducible on every accelerator.
    """
    for dim in (-2, -1):
        x = torch.cat([x.narrow(dim, 0, 1), x, x.narrow(dim, x.shape[dim] - 1, 1)], dim)
    return x


def classifier(channels: int, width: int, kernel: int, dropout: float, valid: bool) -> nn.Sequential:
    """Return VGG's fully connected layers fc6 and fc7 as convolutions."""
    made = nn.Sequential(
        nn.Conv2d(channels, width, kernel, padding=0 if valid else kernel // 2),
        nn.ReLU(inplace=True),
        nn.Dropout(dropout),
        nn.Conv2d(width, width, 1),
        nn.ReLU(inplace=True),
        nn.Dropout(dropout),
    )
    initialise(made)
    return made


def score(channels: int, spec: HeadSpec, first: bool) -> nn.Conv2d:
    """Return a 1x1 convolution; those of skips begin at zero, as the authors', so the network begins as the coarser."""
    conv = nn.Conv2d(channels, spec.channels, 1)
    if first:
        initialise_head(conv, spec)
        return conv
    for parameter in conv.parameters():
        nn.init.zeros_(parameter)
    return conv


def skips(strides: Sequence[int], finest: int) -> list[int]:
    """Return the levels to add to the deepest, deep to shallow: of each stride the deepest level."""
    if finest < 1:
        raise UserError(f"model.stride: {finest}; give 32, 16 or 8")
    wanted = sorted({one for one in strides if finest <= one < strides[-1]}, reverse=True)
    return [max(i for i, one in enumerate(strides) if one == stride) for stride in wanted]


def scored(pyramid: Pyramid, level: int) -> Tensor:
    """Return the output of the pooling before a level, or the level if it was not max-pooled."""
    indices = pyramid.indices[level]
    if indices is None:
        return pyramid.features[level]
    return pyramid.features[level - 1].flatten(2).gather(2, indices.flatten(2)).view(indices.shape)


def route(name: str, spec: HeadSpec, steps: Sequence[int], padding: int) -> tuple[list[int], int]:
    """Return the strides of a head's scores, coarse to fine, and the number of strides at which maps are scored."""
    stride = spec.strides[0]
    if len(spec.strides) > 1:
        raise UserError(f"head '{name}' reads several levels; model=fcn predicts on one, use model=fpn")
    summed = [one for one in steps if one >= stride]
    if not summed or summed[-1] % stride:
        raise UserError(
            f"head '{name}' wants a map of stride {stride}, which the encoder's {', '.join(map(str, steps))} do not "
            "lead to; choose another encoder or model=fpn"
        )
    if padding % stride:
        raise UserError(
            f"model.padding: {padding} is no multiple of the stride {stride} that head '{name}' wants; set 0 or "
            f"{ceil_div(padding, stride) * stride}"
        )
    return summed if summed[-1] == stride else [*summed, stride], len(summed)


def offsets(climb: Sequence[int], first: int) -> list[int]:
    """Return the place of the first score in the padded image, in pixels of each stride that scores pass through.

    A transposed convolution of kernel k at stride f puts location i at f i + (k - 1) / 2. But location i of the
    coarse map lies at f i + (f - 1) / 2 of the fine. Locations before the map are cropped, so no offset is negative.
    """
    found = [first]
    for before, after in pairwise(climb):
        factor = before // after
        shift = factor // 2 if factor % 2 == 0 else (factor - 1) // 2
        found.append(factor * max(found[-1], 0) - shift)
    return found


def meet(x: Tensor, skip: Tensor, offset: int) -> tuple[Tensor, Tensor]:
    """Crop two maps to their overlap, if the first begins at location `offset` of the second."""
    x, skip = x[..., max(-offset, 0) :, max(-offset, 0) :], skip[..., max(offset, 0) :, max(offset, 0) :]
    height, width = min(x.shape[-2], skip.shape[-2]), min(x.shape[-1], skip.shape[-1])
    return x[..., :height, :width], skip[..., :height, :width]
