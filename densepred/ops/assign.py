"""Which box each cell of a pyramid answers for: FCOS, arXiv 1904.01355 and 2006.09214.

L cells of all levels, N boxes, lengths in input pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
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
    lengths: list[int]  # and its cells


def grids(size: tuple[int, int], strides: Sequence[int]) -> list[tuple[int, int]]:
    """Rows and columns of each level: ceil(size / stride)."""
    return [(math.ceil(size[0] / stride), math.ceil(size[1] / stride)) for stride in strides]


def cells(size: tuple[int, int], strides: Sequence[int], corner: bool, device: torch.device | None = None) -> Cells:
    """Cells of an input of `size`. Points are the middles of the cells, or their upper left corners."""
    points, lengths = [], []
    shapes = grids(size, strides)
    for (rows, columns), stride in zip(shapes, strides, strict=True):
        y, x = (torch.arange(n, device=device, dtype=torch.float32) * stride for n in (rows, columns))
        grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).view(-1, 2)
        # A cell covers the pixels from stride i to stride i + stride - 1, whose outer edge is half a pixel away.
        points.append(grid + (-0.5 if corner else (stride - 1) / 2))
        lengths.append(rows * columns)
    each = torch.tensor(strides, dtype=torch.float32, device=device).repeat_interleave(
        torch.tensor(lengths, device=device)
    )
    return Cells(torch.cat(points), each, tuple(strides), lengths)


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
    found = torch.full((len(cells.points),), -1, dtype=torch.int64, device=boxes.device)
    if len(boxes) == 0:
        return found
    order = areas(boxes).argsort(stable=True)
    low, high = reaches(cells, factor)
    for part in torch.arange(len(found), device=boxes.device).split(max(1, CHUNK // len(boxes))):
        fits = _fits(cells.points[part], cells.strides[part], boxes[order], radius, low[part], high[part])
        some, first = fits.max(1)  # of equal values the first
        found[part] = torch.where(some, order[first], -1)
    return found


def _fits(points: Tensor, strides: Tensor, boxes: Tensor, radius: float, low: Tensor, high: Tensor) -> Tensor:
    """(n, N) bool."""
    x, y = points[:, :1], points[:, 1:]
    x0, y0, x1, y1 = boxes.unbind(1)
    left, top, right, bottom = x - x0, y - y0, x1 - x, y1 - y
    nearest = torch.minimum(torch.minimum(left, right), torch.minimum(top, bottom))
    farthest = torch.maximum(torch.maximum(left, right), torch.maximum(top, bottom))
    fits = (nearest > 0) & (farthest > low[:, None]) & (farthest <= high[:, None])
    if radius:
        off = torch.maximum((left - right).abs(), (top - bottom).abs()) / 2
        fits &= off < radius * strides[:, None]
    return fits


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
