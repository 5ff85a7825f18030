"""Gaps between instances that touch: cut into what is learnt, closed in what is found. On the CPU.

The first U-Net was taught such gaps, and its border weights are there for them (https://arxiv.org/abs/1505.04597).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import ndimage
from torch import Tensor, from_numpy


def touching(instances: Tensor, width: int) -> Tensor:
    """The pixels of instances (H, W; 0 is none) from which another is at most `width` away, (H, W) bool.

    Away counts steps to any of eight neighbours, so that gaps are 2 `width` wide, all the way around corners.
    """
    ids = instances.numpy()
    low, high = _extremes(ids, width)
    return from_numpy((ids > 0) & (low != high))


def close(ids: np.ndarray, width: int) -> np.ndarray:
    """Give pixels of gaps (0) to the instance beside them; the opposite of cutting `touching(..., width)` out.

    A gap is where an instance is at most `width` steps up, down or sideways, and another within 2 `width` of eight
    neighbours. Corners, where three meet, are filled from two sides. Beyond the open ends of a gap nothing is filled
    for a width of 1, and little for more.
    """
    low, high = _extremes(ids, 2 * width)
    free = (ids == 0) & (low != high)
    if not free.any():
        return ids
    found: Any = ndimage.distance_transform_cdt(ids == 0, "taxicab", return_indices=True)
    away, (row, column) = found
    closed = np.where(free & (away <= width), ids[row, column], ids)
    for _ in range(2 * width - 1):
        closed = np.where(free & (closed == 0), _corner(closed), closed)
    return closed


def _corner(ids: np.ndarray) -> np.ndarray:
    """The instance that lies beside a pixel both across and down, 0 where there is none."""
    grid = np.pad(ids, 1)
    left, right, above, below = grid[1:-1, :-2], grid[1:-1, 2:], grid[:-2, 1:-1], grid[2:, 1:-1]
    leftward = np.where(((left == above) | (left == below)) & (left > 0), left, 0)
    return np.where((leftward == 0) & ((right == above) | (right == below)), right, leftward)


def _extremes(ids: np.ndarray, reach: int) -> tuple[np.ndarray, np.ndarray]:
    """The lowest and the highest id but 0 within `reach` steps to any of eight neighbours; equal if there is none."""
    top = np.iinfo(np.int32).max
    size = 2 * reach + 1
    low = ndimage.minimum_filter(np.where(ids > 0, ids, top), size, mode="constant", cval=top)
    high = ndimage.maximum_filter(ids, size, mode="constant", cval=0)
    return np.where(high > 0, low, 0), high
