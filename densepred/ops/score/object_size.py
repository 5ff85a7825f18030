"""Pixels of objects by the size of the object. An object is a connected region of one class of a class map (H, W)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from densepred.ops.regions.components import components
from densepred.types import VOID

COLUMNS = 4


def count_by_size(labels: Tensor, right: Tensor, known: Tensor, edges: Sequence[float], first: int) -> np.ndarray:
    """Count the objects of a class map by their side, the square root of their pixels: (bins, 4) int64.

    labels: (H, W) uint8; classes from `first` on have objects, connected by sides or corners
    right, known: (H, W) bool, pixels with the class of the other map, and pixels that count
    edges: rising sides; bin i holds objects from edges[i - 1] to below edges[i]

    The columns are objects, those with at least half of their known pixels right, known pixels, and right pixels. The
    side is that of the whole object; objects without a known pixel are left out.
    """
    table = np.zeros((len(edges) + 1, COLUMNS), np.int64)
    values, correct, counted = labels.numpy(), right.numpy(), known.numpy()
    for number in np.unique(values):
        if number == VOID or number < first:
            continue
        found, count = components(values == number, 8)
        pixels, usable, hit = (
            np.bincount(found.reshape(-1), None if mask is None else mask.reshape(-1), count + 1)[1:]
            for mask in (None, counted, correct & counted)
        )
        objects = usable > 0
        places = np.searchsorted(edges, np.sqrt(pixels), side="right")[objects]
        each = np.stack([objects, 2 * hit >= usable, usable, hit], 1)[objects].astype(np.int64)
        np.add.at(table, places, each)
    return table
