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
    """Give pixels of gaps (0) to the nearest instance; the opposite of cutting `touching(..., width)` out.

    A gap is where an instance is at most `width` steps away, and another twice that.
    """
    low, high = _extremes(ids, 2 * width)
    free = (ids == 0) & (low != high)
    if not free.any():
        return ids
    away, nearest = _nearest(ids)
    return np.where(free & (away <= width), ids[nearest[0], nearest[1]], ids)


def _extremes(ids: np.ndarray, reach: int) -> tuple[np.ndarray, np.ndarray]:
    """The lowest and the highest id but 0 within `reach` steps."""
    top = np.iinfo(np.int32).max
    size, filters = 2 * reach + 1, ndimage
    low = filters.minimum_filter(np.where(ids > 0, ids, top), size, mode="constant", cval=top)
    high = filters.maximum_filter(ids, size, mode="constant", cval=0)
    return np.minimum(low, np.where(high > 0, top, 0)), high


def _nearest(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many steps the nearest instance is away, and its pixel's row and column, (2, H, W)."""
    found: Any = ndimage.distance_transform_cdt(ids == 0, "chessboard", return_indices=True)
    return found
