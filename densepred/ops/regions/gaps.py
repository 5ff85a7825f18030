"""Gaps between touching instances: inserted into targets, closed in predictions. On the CPU.

The targets of U-Net have such gaps, and its border weights emphasise them (arXiv 1505.04597).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy
from torch import Tensor, from_numpy


def touching(instances: Tensor, width: int) -> Tensor:
    """Mark the pixels of instances (H, W; 0 is none) with another instance at most `width` away: (H, W) bool.

    The distance counts steps to any of eight neighbours, so that gaps are 2 `width` wide, around corners too.
    """
    ids = instances.numpy()
    low, high = _extremes(ids, width)
    return from_numpy((ids > 0) & (low != high))


def close(ids: np.ndarray, width: int) -> np.ndarray:
    """Assign pixels of gaps (0) to the adjacent instance: the inverse of removing `touching(..., width)`.

    A gap is a pixel with an instance at most `width` steps up, down or sideways, and another within 2 `width` steps to
    eight neighbours. Corners where three instances meet are filled from two sides. Beyond the open ends of a gap
    nothing is filled for a width of 1, and little for more.
    """
    low, high = _extremes(ids, 2 * width)
    free = (ids == 0) & (low != high)
    if not free.any():
        return ids
    found: Any = scipy.ndimage.distance_transform_cdt(ids == 0, "taxicab", return_indices=True)
    away, (row, column) = found
    closed = np.where(free & (away <= width), ids[row, column], ids)
    for _ in range(2 * width - 1):
        closed = np.where(free & (closed == 0), _corner(closed), closed)
    return closed


def _corner(ids: np.ndarray) -> np.ndarray:
    """Return the instance that is adjacent to a pixel both horizontally and vertically, 0 if there is none."""
    grid = np.pad(ids, 1)
    left, right, above, below = grid[1:-1, :-2], grid[1:-1, 2:], grid[:-2, 1:-1], grid[2:, 1:-1]
    leftward = np.where(((left == above) | (left == below)) & (left > 0), left, 0)
    return np.where((leftward == 0) & ((right == above) | (right == below)), right, leftward)


def _extremes(ids: np.ndarray, reach: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the lowest and highest id except 0 within `reach` steps to eight neighbours; equal if there is none."""
    top = np.iinfo(np.int32).max
    size = 2 * reach + 1
    low = scipy.ndimage.minimum_filter(np.where(ids > 0, ids, top), size, mode="constant", cval=top)
    high = scipy.ndimage.maximum_filter(ids, size, mode="constant", cval=0)
    return np.where(high > 0, low, 0), high
