"""Images that are warped and recoloured on the device: one buffer of bytes per batch on its way there.

Images that are computed alike make a group: by their type, and by how they are sampled. All is computed per group, but
the interpolation: each image reads a part of its own size.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from densepred.ops.geometry.bilinear import Part, Sources, finished, interpolated, on_grid
from densepred.ops.geometry.packed import Packer, Place
from densepred.ops.geometry.recolour import recolour_all
from densepred.types import unit_scale

ALL = torch.ones((), dtype=torch.bool)
BLACK = torch.zeros(())


@dataclass(frozen=True, slots=True)
class Sampling:
    """The reading of a warped image: a part of the source, and the positions in it."""

    part: Part
    sources: Sources
    fill: Tensor | None  # (C,) colour from outside; None if nothing is

    @property
    def straight(self) -> bool:
        """True if all rows have the same positions, and all columns."""
        return self.sources.x.shape[0] == 1 and self.sources.y.shape[1] == 1


@dataclass(frozen=True, slots=True)
class DeferredImage:
    """A warped and recoloured image (C, H, W) that is not computed yet."""

    pixels: Tensor  # (C, h, w): what the warp reads, or (C, H, W) the warped image, if `sampling` is None
    size: tuple[int, int]
    sampling: Sampling | None = None
    colours: Tensor | None = None  # (C, C + 1), see ops/geometry/recolour.py

    @property
    def shape(self) -> torch.Size:
        return torch.Size((self.pixels.shape[0], *self.size))

    def stacked(self, images: Sequence[DeferredImage]) -> DeferredImages:
        """Stack images of one shape."""
        return DeferredImages.of(images)


class Straight(NamedTuple):
    """Where positions lie that agree in all rows, and in all columns: on the grid, rounded once from float64."""

    x: Place  # (g, W)
    y: Place  # (g, H)


class Bent(NamedTuple):
    """Where other positions lie, in pixels of the image, and what places them on the grid."""

    positions: Place  # (g, 2, H, W): x and y
    scales: Place  # (3, g, 2): start, shrink and length by x and y


class Reading(NamedTuple):
    """The reading of the parts of a group."""

    shrinks: list[tuple[int, int] | None]  # rows and columns that are averaged, of each image
    positions: Straight | Bent
    inside: Place | None  # (g, 1, H, W) bool
    fill: Place | None  # (g, C)


class Group(NamedTuple):
    """Where images that are computed alike lie."""

    pixels: list[Place]  # (1, C, h, w) of each image
    reading: Reading | None  # None: the pixels are the warped images
    colours: Place | None  # (g, C, C + 1)


@dataclass(frozen=True, slots=True)
class DeferredImages:
    """Stands for the images (B, C, H, W) of a batch until `to`."""

    buffer: Tensor  # bytes
    shape: torch.Size
    groups: list[Group]
    order: Place | None  # (B,) of each image among those of all groups; None: the same

    @classmethod
    def of(cls, images: Sequence[DeferredImage]) -> DeferredImages:
        """Stack images of one shape."""
        groups: dict[tuple[object, ...], list[int]] = defaultdict(list)
        for index, image in enumerate(images):
            kind = None if image.sampling is None else image.sampling.straight
            groups[image.pixels.dtype == torch.uint8, kind, image.colours is None].append(index)
        packer = Packer()
        places = [_group([images[index] for index in members], packer) for members in groups.values()]
        order = None
        if len(places) > 1:
            among = torch.tensor([index for members in groups.values() for index in members]).argsort()
            order = packer.add((), torch.int64, list(among))
        return cls(packer.buffer(), torch.Size((len(images), *images[0].shape)), places, order)

    def __len__(self) -> int:
        return self.shape[0]

    def pin_memory(self) -> DeferredImages:
        return replace(self, buffer=self.buffer.pin_memory())

    def to(self, device: torch.device, non_blocking: bool = False) -> Tensor:
        """Compute the images on a device, float32 in [0, 1]."""
        buffer = self.buffer.to(device, non_blocking=non_blocking)
        found = [_computed(group, buffer) for group in self.groups]
        if self.order is None:
            return found[0]
        return torch.cat(found).index_select(0, self.order.of(buffer))


def _group(images: Sequence[DeferredImage], packer: Packer) -> Group:
    dtype = torch.uint8 if images[0].pixels.dtype == torch.uint8 else torch.float32
    pixels = [packer.add(image.pixels.shape, dtype, [image.pixels]) for image in images]
    matrices = [image.colours for image in images if image.colours is not None]
    colours = packer.add(matrices[0].shape, torch.float32, matrices) if matrices else None
    samplings = [image.sampling for image in images if image.sampling is not None]
    return Group(pixels, _reading(samplings, images[0].shape, packer) if samplings else None, colours)


def _reading(samplings: Sequence[Sampling], shape: torch.Size, packer: Packer) -> Reading:
    (channels, height, width), inside, fill = shape, None, None
    if any(one.sources.inside is not None for one in samplings):
        masks = [ALL if one.sources.inside is None else one.sources.inside for one in samplings]
        inside = packer.add((1, height, width), torch.bool, masks)
        fill = packer.add((channels,), torch.float32, [BLACK if one.fill is None else one.fill for one in samplings])
    placed = (_straight if samplings[0].straight else _bent)(samplings, (height, width), packer)
    return Reading([one.part.shrink for one in samplings], placed, inside, fill)


def _straight(samplings: Sequence[Sampling], size: tuple[int, int], packer: Packer) -> Straight:
    def rounded(axis: int) -> Place:
        found = []
        for part, sources in ((one.part, one.sources) for one in samplings):
            positions = (sources.y[:, 0], sources.x[0])[axis]
            found.append(on_grid(positions, part.start[axis], part.shrink and part.shrink[axis], part.lengths[axis]))
        return packer.add((size[axis],), torch.float32, found)

    return Straight(rounded(1), rounded(0))


def _bent(samplings: Sequence[Sampling], size: tuple[int, int], packer: Packer) -> Bent:
    positions = packer.add((2, *size), torch.float32, [(one.sources.x, one.sources.y) for one in samplings])
    parts = [one.part for one in samplings]
    numbers = torch.tensor([[part.start[::-1], (part.shrink or (1, 1))[::-1], part.lengths[::-1]] for part in parts])
    return Bent(positions, packer.add((len(parts), 2), torch.float32, list(numbers.transpose(0, 1))))


def _computed(group: Group, buffer: Tensor) -> Tensor:
    """Return the images of a group as float32 in [0, 1]."""
    pixels = [place.of(buffer) for place in group.pixels]
    images = torch.cat(pixels) if group.reading is None else _sampled(pixels, group.reading, buffer)
    if group.colours is not None:
        images = recolour_all(images, group.colours.of(buffer))
    return unit_scale(images)


def _sampled(pixels: Sequence[Tensor], reading: Reading, buffer: Tensor) -> Tensor:
    grid = _grid(reading, buffer)
    each = zip(pixels, reading.shrinks, grid.split(1), strict=True)
    out = torch.cat([interpolated(part[0], shrink, one) for part, shrink, one in each])
    inside = None if reading.inside is None else reading.inside.of(buffer)
    return finished(out, inside, None if reading.fill is None else reading.fill.of(buffer), pixels[0].dtype)


def _grid(reading: Reading, buffer: Tensor) -> Tensor:
    """Return the grid (g, H, W, 2) of a group."""
    placed = reading.positions
    if isinstance(placed, Straight):
        x, y = placed.x.of(buffer), placed.y.of(buffer)
        size = len(x), y.shape[1], x.shape[1]
        return torch.stack((x[:, None].expand(size), y[:, :, None].expand(size)), -1)
    positions = placed.positions.of(buffer)
    start, shrink, length = placed.scales.of(buffer)[..., None, None]
    if all(one is None for one in reading.shrinks):
        grid = on_grid(positions, start, None, length)
    else:
        each = zip(positions, start, shrink, length, reading.shrinks, strict=True)
        grid = torch.stack([on_grid(a, b, None if by is None else c, d) for a, b, c, d, by in each])
    return grid.permute(0, 2, 3, 1)
