"""Bilinear taps: the two neighbours of a position along an axis, and the share of the second; or as a matrix.

A value between locations of a map is a mix of these two per axis. Positions are counted in locations from 0.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor


class Taps(NamedTuple):
    """Neighbours of positions along one axis; the value there is `(1 - share) * first + share * second`."""

    first: Tensor  # (...) int64
    second: Tensor  # (...) int64, the last location if there is no other
    share: Tensor  # (...) float, from 0 to below 1


def positions(index: Tensor, source: int, size: int, align_corners: bool) -> Tensor:
    """Return the positions among `source` locations of `index` among `size`, as `F.interpolate` places them.

    Without aligned corners they reach from below 0 to above source - 1 if the map is enlarged.
    """
    if align_corners:
        return index * ((source - 1) / max(size - 1, 1))
    return (index + 0.5) * (source / size) - 0.5


def taps(position: Tensor, length: int) -> Taps:
    """Return the taps of positions among `length` locations; positions outside take the value of the nearest."""
    position = position.clamp(0, length - 1)
    first = position.long()
    return Taps(first, (first + 1).clamp_max(length - 1), position - first)


def interpolation_matrix(
    source: int, size: int, align_corners: bool, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """Return the share of each of `source` locations in each of `size`, (size, source)."""
    index = torch.arange(size, dtype=dtype, device=device)
    first, second, share = (tap[:, None] for tap in taps(positions(index, source, size, align_corners), source))
    near = torch.arange(source, device=device)
    return (near == first) * (1 - share) + (near == second) * share


@lru_cache(maxsize=256)
def stored_matrix(source: int, size: int, align_corners: bool, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return `interpolation_matrix`, made once, on the host: a step would spend more kernels on it than on its use."""
    with torch.inference_mode(False), torch.no_grad():  # a tensor of inference mode could not be used in training
        return interpolation_matrix(source, size, align_corners, dtype, torch.device("cpu")).to(device)


def mix(maps: Tensor, start: Tensor, width: int, rows: Taps, columns: Taps) -> Tensor:
    """Interpolate between the four neighbours of each position.

    maps: (M, ...) maps that are `width` wide, row by row and one map after the other.
    start: int64, index of the first location of the map that each position is in.
    """
    trailing = (..., *[None] * (maps.ndim - 1))
    across, down = columns.share[trailing], rows.share[trailing]
    lines = [start + row * width for row in (rows.first, rows.second)]
    above, below = (torch.lerp(maps[line + columns.first], maps[line + columns.second], across) for line in lines)
    return torch.lerp(above, below, down)
