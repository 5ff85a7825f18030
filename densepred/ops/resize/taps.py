"""Bilinear taps: the two neighbours of a position along an axis, and the share of the second.

A value between cells is a mix of these two per axis. Positions are in cells, and the first cell is at 0.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Taps(NamedTuple):
    """Neighbours of positions along one axis; the value there is `(1 - share) * first + share * second`."""

    first: Tensor  # (...) int64
    second: Tensor  # (...) int64, the last cell where there is no other
    share: Tensor  # (...) float, from 0 to below 1


def positions(index: Tensor, source: int, size: int, align_corners: bool) -> Tensor:
    """Return where the cells `index` of `size` lie among `source` cells, as `F.interpolate` places them.

    Half of an enlarged cell at either end lies outside: below 0 and above source - 1.
    """
    if align_corners:
        return index * ((source - 1) / max(size - 1, 1))
    return (index + 0.5) * (source / size) - 0.5


def taps(position: Tensor, length: int) -> Taps:
    """Return the taps of positions among `length` cells; positions outside take the value of the nearest cell."""
    position = position.clamp(0, length - 1)
    first = position.long()
    return Taps(first, (first + 1).clamp_max(length - 1), position - first)


def mix(cells: Tensor, start: Tensor, width: int, rows: Taps, columns: Taps) -> Tensor:
    """Interpolate between the four neighbours of each position.

    cells: (M, ...) maps that are `width` wide, row by row and one map after the other.
    start: int64, index of the first cell of the map that is read at each position.
    """
    trailing = (..., *[None] * (cells.ndim - 1))
    across, down = columns.share[trailing], rows.share[trailing]
    lines = [start + row * width for row in (rows.first, rows.second)]
    above, below = (torch.lerp(cells[line + columns.first], cells[line + columns.second], across) for line in lines)
    return torch.lerp(above, below, down)
