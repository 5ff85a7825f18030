"""Connected components of masks and class maps; holes filled, small components dropped.

H x W an image. All functions work on one image, on the CPU, without loops over components.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy
import torch
from torch import Tensor

Components = np.ndarray[Any, np.dtype[np.int32]]
"""(H, W): 0 is none, i the i-th component."""


def components(mask: np.ndarray, connectivity: int = 4) -> tuple[Components, int]:
    """Number the connected components of a mask (H, W) from 1, in the order of their first pixels; also their count.

    connectivity: 4 for pixels that share a side, 8 for pixels that share a side or a corner
    """
    found = np.empty(mask.shape, np.int32)
    structure = scipy.ndimage.generate_binary_structure(2, 1 if connectivity == 4 else 2)
    count = scipy.ndimage.label(mask, structure, output=found)
    return found, int(count)  # type: ignore[arg-type]  # a number if the output is given


def class_components(labels: Tensor, classes: Sequence[int]) -> Tensor:
    """Number the connected components of these classes of a class map (H, W) from 1: (H, W) int32.

    Pixels are connected by their sides: a membrane one pixel wide separates also where it runs diagonally.
    """
    found, total = np.zeros(labels.shape, np.int32), 0
    for number in classes:
        own, count = components(labels.numpy() == number)
        found += np.where(own > 0, own + total, 0)
        total += count
    return torch.from_numpy(found)


def small_holes(mask: np.ndarray, connectivity: int, most: int) -> np.ndarray:
    """Mark the holes of a mask that have at most `most` pixels: (H, W) bool.

    A hole is a component of the background that does not reach the edge of the image. Its pixels have the other
    connectivity: a mask that is closed by corners alone has holes that are connected by sides.
    """
    found, count = components(~mask, 12 - connectivity)
    small = np.bincount(found.reshape(-1), minlength=count + 1) <= most
    small[0] = False
    for edge in (found[0], found[-1], found[:, 0], found[:, -1]):
        small[edge] = False
    return small[found]


def without_small(found: np.ndarray, least: int) -> tuple[Components, int]:
    """Drop the components of fewer than `least` pixels and number the others without gaps; also their count."""
    pixels = np.bincount(found.reshape(-1))
    kept = pixels >= max(1, least)
    kept[0] = False
    table = np.where(kept, np.cumsum(kept), 0).astype(np.int32)
    return table[found], int(kept.sum())
