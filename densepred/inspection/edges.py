"""Orientation of masks beside images that EXIF turns, where both fit: edges of masks lie on edges of images."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import torch

from densepred.contracts import Dataset
from densepred.dataset.image import read_stored, turn
from densepred.dataset.mask import read_mask
from densepred.dataset.paired_folder import PairedFolder
from densepred.dataset.pairs import Pair
from densepred.errors import UserError
from densepred.types import unit_scale

COMPARED = 32
"""Pairs of image and mask that are compared."""
UNDECIDED = (
    "type dataset.exif=upright if masks were drawn on images as viewers show them, and dataset.exif=stored if not"
)


def remedy(data: Dataset, images: Collection[str]) -> tuple[str, str]:
    """Return the remedy and the override for masks of these image files, with the count of those that agree with it."""
    if not isinstance(data, PairedFolder):
        return UNDECIDED, ""
    pairs = [pair for pair in data.pairs if str(pair.image) in images and pair.mask is not None]
    votes = [better(pair, data.max_pixels) for pair in pairs[:: max(1, len(pairs) // COMPARED)]]
    counts = {how: votes.count(how) for how in ("stored", "upright")}
    most = max(counts, key=lambda how: counts[how])
    if not counts[most]:
        return UNDECIDED, ""
    fact = f"edges of {counts[most]} of {len(votes)} masks that were compared lie on edges of the images so"
    return f"read masks as {most}: {fact}", f"dataset.exif={most}"


def better(pair: Pair, max_pixels: int) -> str | None:
    """Return the orientation of the image, "stored" or "upright", that fits its mask better; None if none does."""
    assert pair.mask is not None
    try:
        mask = read_mask(pair.mask, max_pixels)
        image, orientation, _ = read_stored(pair.image, None, max_pixels)
    except UserError:
        return None
    labels = mask.astype(np.int64) if mask.ndim == 2 else mask.astype(np.int64) @ np.array([65536, 256, 1])
    border = gradient(labels.astype(np.float32)) > 0
    upright = turn(image, orientation)
    if not border.any() or not image.shape[1:] == upright.shape[1:] == border.shape:
        return None
    stored, shown = (float(gradient(_grey(one))[border].mean()) for one in (image, upright))
    return None if stored == shown else "stored" if stored > shown else "upright"


def gradient(values: np.ndarray) -> np.ndarray:
    """Return the absolute differences to the right and lower neighbours, (H, W); 0 in the last row and column."""
    steps = np.zeros(values.shape, np.float32)
    steps[:, :-1] += np.abs(np.diff(values, axis=1))
    steps[:-1] += np.abs(np.diff(values, axis=0))
    return steps


def _grey(image: torch.Tensor) -> np.ndarray:
    return unit_scale(image).mean(0).numpy()
