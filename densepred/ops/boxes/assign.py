"""Which box each cell of a pyramid answers for: FCOS, arXiv 1904.01355 and 2006.09214.

L cells of all levels, N boxes, lengths in input pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

CHUNK = 2**20
"""Pairs of a cell and a box that are looked at at once."""


class Cells(NamedTuple):
    """The cells of several levels in one row, level by level, each row by row."""

    points: Tensor  # (L, 2) x and y of what a cell stands for
    strides: Tensor  # (L,) float32
    levels: tuple[int, ...]  # the stride of each level
    shapes: list[tuple[int, int]]  # and its rows and columns

    @property
    def lengths(self) -> list[int]:
        """How many cells each level has."""
        return [rows * columns for rows, columns in self.shapes]


def grids(size: tuple[int, int], strides: Sequence[int]) -> list[tuple[int, int]]:
    """Rows and columns of each level: ceil(size / stride)."""
    return [(math.ceil(size[0] / stride), math.ceil(size[1] / stride)) for stride in strides]


def cells(size: tuple[int, int], strides: Sequence[int], corner: bool, device: torch.device | None = None) -> Cells:
    """Cells of an input of `size`. Points are the middles of the cells, or their upper left corners."""
    points, each, shapes = [], [], grids(size, strides)
    for (rows, columns), stride in zip(shapes, strides, strict=True):
        y, x = (torch.arange(n, device=device, dtype=torch.float32) * stride for n in (rows, columns))
        grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).view(-1, 2)
        # A cell covers the pixels from stride i to stride i + stride - 1, whose outer edge is half a pixel away.
        points.append(grid + (-0.5 if corner else (stride - 1) / 2))
        each.append(torch.full((rows * columns,), float(stride), device=device))
    return Cells(torch.cat(points), torch.cat(each), tuple(strides), shapes)


def reaches(cells: Cells, factor: float) -> tuple[Tensor, Tensor]:
    """The longest distance to a side that a cell is for, (L,): above the first, at most the second.

    Of level i up to `factor` strides, and from there down to what level i - 1 reaches; the last has no end.
    """
    ends = [factor * stride for stride in cells.levels[:-1]]
    counts = torch.tensor(cells.lengths, device=cells.points.device)
    low, high = (
        torch.tensor(values, device=cells.points.device).repeat_interleave(counts)
        for values in ([0.0, *ends], [*ends, math.inf])
    )
    return low, high


def assign(cells: Cells, boxes: Tensor, factor: float, radius: float) -> Tensor:
    """The index of the box (N, 4) that each cell is for, (L,), -1 where none.

    A cell is for a box if its point lies inside, less than `radius` strides from the middle along both axes (0:
    anywhere inside), and the farthest side is within the reach of its level; of several such boxes for the smallest,
    and of equally small ones for the first.
    """
    order = areas(boxes).argsort(stable=True)
    boxes = boxes[order]
    low, high = reaches(cells, factor)
    least = torch.full((len(cells.points),), len(boxes), device=boxes.device)
    for cell, box in _near(cells, boxes, radius) if radius else _all(cells, boxes):
        points, strides = cells.points[cell], cells.strides[cell]
        fits = _fits(points, boxes[box], low[cell], high[cell])
        if radius:
            middles = (boxes[box, :2] + boxes[box, 2:]) / 2
            fits &= (points - middles).abs().amax(-1) < radius * strides
        cell, box = (index.expand(fits.shape)[fits] for index in (cell, box))
        least.scatter_reduce_(0, cell, box, "amin")
    return torch.cat([order, order.new_full((1,), -1)])[least]


def _near(cells: Cells, boxes: Tensor, radius: float) -> Iterator[tuple[Tensor, Tensor]]:
    """Pairs of a cell and a box whose middle is near: all that are less than `radius` strides apart, and others."""
    steps = torch.arange(-int(radius + 0.5), int(radius + 0.5) + 1, device=boxes.device)
    middles, start = (boxes[:, :2] + boxes[:, 2:]) / 2, 0
    for (rows, columns), stride in zip(cells.shapes, cells.levels, strict=True):
        places = ((middles - cells.points[start]) / stride).round().long()
        for part in torch.arange(len(boxes), device=boxes.device).split(max(1, CHUNK // len(steps) ** 2)):
            x, y = (places[part, axis, None] + steps for axis in (0, 1))
            inside = ((y >= 0) & (y < rows))[:, :, None] & ((x >= 0) & (x < columns))[:, None]
            index = start + y[:, :, None] * columns + x[:, None]
            yield index[inside], part[:, None, None].expand(index.shape)[inside]
        start += rows * columns


def _all(cells: Cells, boxes: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Every cell with every box, as (n, 1) and (1, N)."""
    every = torch.arange(len(boxes), device=boxes.device)[None]
    for part in torch.arange(len(cells.points), device=boxes.device).split(max(1, CHUNK // max(1, len(boxes)))):
        yield part[:, None], every


def _fits(points: Tensor, boxes: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Whether points (..., 2) lie in boxes (..., 4) and the farthest side is within reach."""
    sides = torch.cat([points - boxes[..., :2], boxes[..., 2:] - points], -1)
    farthest = sides.amax(-1)
    return (sides.amin(-1) > 0) & (farthest > low) & (farthest <= high)


def covered(points: Tensor, boxes: Tensor) -> Tensor:
    """(L,) bool, whether a point (L, 2) lies in any of the boxes (N, 4)."""
    inside = torch.zeros(len(points), dtype=torch.bool, device=points.device)
    x, y = points.unbind(1)
    for x0, y0, x1, y1 in boxes:
        inside |= (x >= x0) & (x <= x1) & (y >= y0) & (y <= y1)
    return inside


def areas(boxes: Tensor) -> Tensor:
    """(N, 4) -> (N,)."""
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
