"""Pixels without data in rasters of maps (GDAL's nodata): black in images, void in labels."""

from __future__ import annotations

import contextlib
import struct
import warnings
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from densepred.dataset import image_layout
from densepred.errors import Notice

TAG = 42113
"""GDAL_NODATA, a text: https://gdal.org/en/stable/drivers/raster/gtiff.html"""

SEVERAL = 32
"""At least as many masks are searched for the tag, and fewer than twice as many."""


def declared(path: Path) -> float | None:
    """Return the value that a TIFF gives to pixels without data; None if it names none, or is no TIFF."""
    with path.open("rb") as file, contextlib.suppress(struct.error, OSError, ValueError, OverflowError):
        if file.read(4) in image_layout.TIFF and (text := image_layout.text_of(file, TAG)):
            return float(text.replace(",", "."))
    return None


def tell_in_labels(masks: Sequence[Path], kept: Collection[int]) -> None:
    """Tell that masks name a value as no data, unless it is one of the ids `kept`: its pixels are void."""
    rasters = [path for path in masks if path.suffix.lower() in (".tif", ".tiff")]
    sample = rasters[:: max(1, len(rasters) // SEVERAL)]
    found = [(path, value) for path in sample if path.is_file() and (value := declared(path)) is not None]
    told = [(path, value) for path, value in found if value not in kept]
    if told:
        path, value = told[0]
        whole = f"{value:g}"
        word = f"; as a class: 'dataset.label_map={{{whole}: CLASS}}'" if value >= 0 and value.is_integer() else ""
        fact = f"{path}: its tag GDAL_NODATA is {whole}, as in {len(told)} of {len(sample)} masks that were searched"
        warnings.warn(f"{fact}; pixels of that value are void{word}", Notice, stacklevel=3)


def missing(values: np.ndarray, nodata: float) -> np.ndarray:
    """Return where all bands of (H, W) or (H, W, C) hold no data, (H, W) bool."""
    found = _equal(values, nodata)
    return found if found.ndim == 2 else np.asarray(found.all(2))


def _equal(values: np.ndarray, nodata: float) -> np.ndarray:
    return np.asarray(np.isnan(values) if np.isnan(nodata) else values == nodata)


def absent(values: np.ndarray, nodata: float | None) -> np.ndarray:
    """Return which values (H, W) or (H, W, C) are no data: a mask of that shape, or (H, W) of whole pixels.

    Bytes in which only some bands equal `nodata` count as data: they are dark or bright, not absent.
    """
    if nodata is None or values.dtype.kind not in "iuf":
        return np.zeros(values.shape, bool)
    return missing(values, nodata) if values.dtype == np.uint8 else _equal(values, nodata)


def cleared(values: np.ndarray, nodata: float | None) -> np.ndarray:
    """Return the values with 0 where they are `absent`."""
    if nodata is None or values.dtype.kind not in "iuf":
        return values
    found, values = absent(values, nodata), np.array(values)
    values[found] = 0
    return values
