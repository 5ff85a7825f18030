"""Assignment of boxes to the locations of a feature pyramid: FCOS, arXiv 1904.01355 and 2006.09214.

L locations of all levels, N boxes, lengths in input pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from densepred.nn import ceil_div
from densepred.ops.boxes.edges import areas

CHUNK = 2**20
"""Largest number of pairs of a location and a box per step."""


class Locations(NamedTuple):
    """Locations of several levels in one list: level by level, each row by row."""

    points: Tensor  # (L, 2) x and y in the input
    strides: Tensor  # (L,) float32
    levels: tuple[int, ...]  # stride per level
    shapes: list[tuple[int, int]]  # rows and columns per level

    @property
    def lengths(self) -> list[int]:
        """Number of locations per level."""
        return [rows * columns for rows, columns in self.shapes]


def level_shapes(size: tuple[int, int], strides: Sequence[int]) -> list[tuple[int, int]]:
    """Return rows and columns of each level: ceil(size / stride)."""
    return [(ceil_div(size[0], stride), ceil_div(size[1], stride)) for stride in strides]


def pyramid_locations(
    size: tuple[int, int], strides: Sequence[int], corner: bool, device: torch.device | None = None
) -> Locations:
    """Return the locations of an input of `size`: centers of their pixels, or with `corner` upper left corners."""
    points, each, shapes = [], [], level_shapes(size, strides)
    for (rows, columns), stride in zip(shapes, strides, strict=True):
        y, x = (torch.arange(n, device=device, dtype=torch.float32) * stride for n in (rows, columns))
        grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).view(-1, 2)
        # Location i covers the pixels from stride i to stride i + stride - 1; their outer edge is half a pixel away.
        points.append(grid + (-0.5 if corner else (stride - 1) / 2))
        each.append(torch.full((rows * columns,), float(stride), device=device))
    return Locations(torch.cat(points), torch.cat(each), tuple(strides), shapes)


def reaches(locations: Locations, factor: float) -> tuple[Tensor, Tensor]:
    """Return the range of the farthest side of a box per location, two (L,): above the first, up to the second.

    Level i ends at `factor` strides and begins where level i - 1 ends; the last level has no end.
    """
    ends = [factor * stride for stride in locations.levels[:-1]]
    counts = torch.tensor(locations.lengths, device=locations.points.device)
    low, high = (
        torch.tensor(values, device=locations.points.device).repeat_interleave(counts)
        for values in ([0.0, *ends], [*ends, math.inf])
    )
    return low, high


def assign(locations: Locations, boxes: Tensor, factor: float, radius: float) -> Tensor:
    """Assign each location the index of a box (N, 4): (L,) int64, -1 without a box.

    A box is a candidate if the point lies inside it, less than `radius` strides from its center along both axes
    (0: anywhere inside), and the distance to the farthest side is in the range of the level. The smallest candidate
    is assigned, of equal areas the first.
    """
    order = areas(boxes).argsort(stable=True)
    boxes = boxes[order]
    low, high = reaches(locations, factor)
    least = torch.full((len(locations.points),), len(boxes), device=boxes.device)
    for place, box in _near(locations, boxes, radius) if radius else _all(locations, boxes):
        points, strides = locations.points[place], locations.strides[place]
        fits = _fits(points, boxes[box], low[place], high[place])
        if radius:
            centers = (boxes[box, :2] + boxes[box, 2:]) / 2
            fits &= (points - centers).abs().amax(-1) < radius * strides
        place, box = (index.expand(fits.shape)[fits] for index in (place, box))
        least.scatter_reduce_(0, place, box, "amin")
    return torch.cat([order, order.new_full((1,), -1)])[least]


def _near(locations: Locations, boxes: Tensor, radius: float) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield pairs of location and box: a superset of those with centers less than `radius` strides apart."""
    steps = torch.arange(-int(radius + 0.5), int(radius + 0.5) + 1, device=boxes.device)
    centers, start = (boxes[:, :2] + boxes[:, 2:]) / 2, 0
    for (rows, columns), stride in zip(locations.shapes, locations.levels, strict=True):
        places = ((centers - locations.points[start]) / stride).round().long()
        for part in torch.arange(len(boxes), device=boxes.device).split(max(1, CHUNK // len(steps) ** 2)):
            x, y = (places[part, axis, None] + steps for axis in (0, 1))
            inside = ((y >= 0) & (y < rows))[:, :, None] & ((x >= 0) & (x < columns))[:, None]
            index = start + y[:, :, None] * columns + x[:, None]
            yield index[inside], part[:, None, None].expand(index.shape)[inside]
        start += rows * columns


def _all(locations: Locations, boxes: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield all pairs of location and box, as (n, 1) and (1, N)."""
    every = torch.arange(len(boxes), device=boxes.device)[None]
    for part in torch.arange(len(locations.points), device=boxes.device).split(max(1, CHUNK // max(1, len(boxes)))):
        yield part[:, None], every


def _fits(points: Tensor, boxes: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Return True for points (..., 2) inside boxes (..., 4) with the farthest side in range."""
    sides = torch.cat([points - boxes[..., :2], boxes[..., 2:] - points], -1)
    farthest = sides.amax(-1)
    return (sides.amin(-1) > 0) & (farthest > low) & (farthest <= high)


def covered(points: Tensor, boxes: Tensor) -> Tensor:
    """Mark the points (L, 2) that lie in any of the boxes (N, 4): (L,) bool."""
    inside = torch.zeros(len(points), dtype=torch.bool, device=points.device)
    x, y = points.unbind(1)
    for x0, y0, x1, y1 in boxes:
        inside |= (x >= x0) & (x <= x1) & (y >= y0) & (y <= y1)
    return inside


def marked(points: Tensor, region: Tensor) -> Tensor:
    """Look up `region` (H, W) at the pixels that hold the points (L, 2), or at the nearest ones: (L,) bool."""
    last = torch.tensor([region.shape[1] - 1, region.shape[0] - 1], device=points.device)
    x, y = torch.minimum((points + 0.5).floor().long().clamp_min(0), last).unbind(1)
    return region[y, x]
