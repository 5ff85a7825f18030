"""From a mask to numbered parts: holes filled, connected components, small ones dropped.

These are a few numbers of one image, on the CPU: masks are numpy arrays (H, W). None of it loops over parts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import ndimage

Parts = np.ndarray[Any, np.dtype[np.int32]]
"""(H, W): 0 is none, i the i-th part."""


def numbered(mask: np.ndarray, connectivity: int) -> tuple[Parts, int]:
    """The connected components of a mask, from 1 in the order of their first pixels, and how many there are.

    `connectivity` is 4, pixels that share a side, or 8, those that share a corner too.
    """
    parts = np.empty(mask.shape, np.int32)
    count = ndimage.label(mask, _around(connectivity), output=parts)
    return parts, int(count)  # type: ignore[arg-type]  # a number where the output is given


def small_holes(mask: np.ndarray, connectivity: int, most: int) -> np.ndarray:
    """Where a mask has holes of at most `most` pixels, (H, W) bool.

    A hole is a part of what is not the mask that does not reach the edge of the image. Its pixels are connected the
    other way than those of the mask: a mask that is closed by corners alone holds a hole that is closed by sides.
    """
    parts, count = numbered(~mask, 12 - connectivity)
    small = np.bincount(parts.reshape(-1), minlength=count + 1) <= most
    small[0] = False
    for edge in (parts[0], parts[-1], parts[:, 0], parts[:, -1]):
        small[edge] = False
    return small[parts]


def without_small(parts: np.ndarray, least: int) -> tuple[Parts, int]:
    """Drop the parts of fewer than `least` pixels, and number those that are left without gaps."""
    pixels = np.bincount(parts.reshape(-1))
    kept = pixels >= max(1, least)
    kept[0] = False
    table = np.where(kept, np.cumsum(kept), 0).astype(np.int32)
    return table[parts], int(kept.sum())


def _around(connectivity: int) -> np.ndarray:
    return ndimage.generate_binary_structure(2, 1 if connectivity == 4 else 2)
