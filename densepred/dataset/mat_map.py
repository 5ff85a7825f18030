"""Maps of ids in MATLAB and numpy files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from densepred.dataset import mat_file
from densepred.dataset.image_file import PIXEL, check_file, check_pixels
from densepred.errors import UserError

LARGEST = 1 << 28
"""Bytes of a file that is read for a list."""


def read(path: Path, name: str, max_pixels: int, remedy: str = "copy the file from the archive again") -> np.ndarray:
    """Return the variable `name` of a .mat file, (H, W) int64 with ids of 0 or more.

    Raises UserError if it is absent, damaged, no map of whole numbers, or larger than `max_pixels`.
    """
    check_file(path)
    try:
        values = mat_file.read(path, name, max_pixels * PIXEL + mat_file.HEADER)
    except (ValueError, OSError) as error:
        raise UserError(f"{path}: {name} cannot be read ({error}); {remedy}") from error
    if values.ndim != 2 or not values.size:
        raise UserError(f"{path}: {name} has the shape {values.shape}, not (height, width); use another file")
    check_pixels(path, values.shape[0], values.shape[1], max_pixels)
    return whole(values, f"{path}: {name}")


def column(path: Path, name: str) -> np.ndarray | None:
    """Return the variable `name` of a .mat file as (N,) int64; None if the file has none, or it is no number.

    Raises UserError for fractions and numbers below 0.
    """
    try:
        values = mat_file.read(path, name, LARGEST)
    except (ValueError, OSError):
        return None
    return whole(values.reshape(-1), f"{path}: {name}")


def whole(values: np.ndarray, where: str) -> np.ndarray:
    """Return ids as int64. Raises UserError, beginning with `where`, for fractions and numbers below 0."""
    odd = values[~((values >= 0) & (values < 2**31) & (values == np.floor(values)))]
    if odd.size:
        raise UserError(f"{where} holds {odd.flat[0]:g}; ids are whole numbers of 0 and more: correct it")
    return values.astype(np.int64)
