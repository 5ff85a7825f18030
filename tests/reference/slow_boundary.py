"""Outlines and bands by the words of their definitions, mask by mask."""

from __future__ import annotations

import numpy as np
from scipy import ndimage


def inner_outline(mask: np.ndarray, reach: int) -> np.ndarray:
    """Pixels that `reach` erosions by 3 x 3 take from a mask with nothing around it."""
    eroded = ndimage.binary_erosion(np.pad(mask, 1), np.ones((3, 3)), reach)[1:-1, 1:-1]
    return mask & np.logical_not(eroded)


def boundary_areas(truth: np.ndarray, guess: np.ndarray, known: np.ndarray, reach: int) -> tuple[int, int]:
    """Intersection and union of the outlines of two masks, void taken from both."""
    first, second = (inner_outline(mask & known, reach) for mask in (truth, guess))
    return int((first & second).sum()), int((first | second).sum())


def band(truth: np.ndarray, reach: int, void: int) -> np.ndarray:
    """Pixels that see two known labels in their window, one window at a time."""
    found = np.zeros(truth.shape, bool)
    for y, x in np.ndindex(*truth.shape):
        window = truth[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1]
        found[y, x] = len(set(window.ravel().tolist()) - {void}) > 1
    return found
