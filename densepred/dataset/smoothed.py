"""Masks that an image program has smoothed or enlarged: between two labels they hold values that are no label."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from densepred.dataset.facts import counted
from densepred.errors import Misfit

MOST = 0.9
"""Share of the pixels between two labels that must lie along an edge."""
KEPT = 0.5
"""Least share of the pixels with a label in a smoothed mask."""
VALUES = 3  # further values from which a mask is smoothed; a label more or less may be a mistake
REMEDY = (
    "draw or export them without smoothing; resize masks with the nearest neighbour; or threshold them at half the "
    "highest value"
)


def refuse(mask: np.ndarray, path: Path) -> None:
    """Raise Misfit for a mask of two labels with values in between along the edges, as smoothing leaves them.

    mask: (H, W) integers, or (H, W, 3) of equal values
    """
    values = mask[..., 0] if mask.ndim == 3 else mask
    between = in_between(values)
    if between:
        low, high = int(values.min()), int(values.max())
        raise Misfit(
            f"{path}: the mask is anti-aliased: {low} and {high} are labels, with "
            f"{counted(len(between), 'values')} between them along the edges; {REMEDY}",
            "blended_masks",
            (low, *between, high),
        )


def in_between(values: np.ndarray) -> list[int]:
    """Return the values between the lowest and the highest one if they lie only along edges, [] otherwise.

    values: (H, W) integers
    """
    low, high = int(values.min()), int(values.max())
    if high - low <= VALUES:
        return []
    inner = (values > low) & (values < high)
    share = float(inner.mean())
    found = np.unique(values[inner]).tolist()
    if len(found) < VALUES or share > 1 - KEPT or not _beside(inner, (values == low) | (values == high)):
        return []
    # An edge leads from the one label to the other: both are near each such pixel
    near = _grown(_grown(values == low)) & _grown(_grown(values == high))
    return found if bool(near[inner].mean() > MOST) else []


def is_blend(stray: np.ndarray, colours: int) -> bool:
    """Return True if pixels of so many unknown colours, (H, W) bool, lie only beside pixels of known ones."""
    return colours >= VALUES and bool(stray.mean() <= 1 - KEPT) and _beside(stray, ~stray)


def _beside(inner: np.ndarray, outer: np.ndarray) -> bool:
    """Return True if nearly every pixel of `inner` has a neighbour in `outer`."""
    return bool(_grown(outer)[inner].mean() > MOST)


def _grown(mask: np.ndarray) -> np.ndarray:
    """Return the pixels of a mask and their eight neighbours."""
    padded = np.pad(mask, 1)
    height, width = mask.shape
    shifted = [padded[y : y + height, x : x + width] for y in range(3) for x in range(3)]
    return np.logical_or.reduce(shifted)
