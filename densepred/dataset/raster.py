"""Image files of any number of bands and any type of number: what Pillow does not read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from densepred.dataset import dicom_file, geo_file, nodata, tiff_file
from densepred.dataset.image_file import MAX_PIXELS, beyond_pillow, load_npy
from densepred.dataset.intensity import pick


@dataclass(frozen=True, slots=True)
class Raster:
    """The header of a file; `values` decodes its pixels, (H, W, bands), as they are stored."""

    path: Path
    size: tuple[int, int]
    bands: int  # alpha among them
    dtype: np.dtype
    values: Callable[[], np.ndarray]
    alpha: bool = False  # of the last band
    previews: int = 0
    inverted: bool = False  # 0 is white
    orientation: int = 1  # of EXIF
    pages: int = 1
    nodata: float | None = None
    lossy: bool = False

    @property
    def channels(self) -> int:
        return self.bands - self.alpha

    @property
    def depth(self) -> str:
        return "floats" if self.dtype.kind == "f" else f"{8 * self.dtype.itemsize} bits"

    def read(self, channels: int | Sequence[int] | None) -> np.ndarray:
        """Return the pixels (H, W, C) of these bands, or of all, without alpha unless it is the missing channel."""
        if isinstance(channels, Sequence):
            return pick(self.values(), channels, self.path)
        return self.values()[..., : self.bands if channels == self.bands else self.channels]


def open_raster(path: Path, max_pixels: int = MAX_PIXELS) -> Raster | None:
    """Read the header of an array, of DICOM, or of a TIFF that Pillow cannot read; None for every file that it can.

    Raises UserError if the file is damaged or too large, or its library is missing.
    """
    if path.suffix.lower() == ".npy":
        array = load_npy(path, max_pixels)
        layers = array if array.ndim == 3 else array[..., None]
        return Raster(path, layers.shape[:2], layers.shape[2], array.dtype, lambda: layers)
    if path.suffix.lower() in dicom_file.SUFFIXES:
        slice_ = dicom_file.read_layout(path, max_pixels)
        values = partial(dicom_file.read_values, path, max_pixels)
        return Raster(
            path, slice_.size, slice_.bands, slice_.dtype, values, inverted=slice_.inverted, nodata=slice_.nodata
        )
    if (why := beyond_pillow(path)) is None:
        return None
    try:
        found = tiff_file.read_layout(path, max_pixels, why)
    except tiff_file.NoDecoder:
        if not geo_file.installed():
            raise
        return _by_gdal(path, max_pixels)
    return Raster(
        path,
        found.size,
        found.bands,
        found.dtype,
        lambda: tiff_file.read_values(path, max_pixels, why),
        found.alpha,
        found.previews,
        found.inverted,
        found.orientation,
        found.pages,
        nodata.declared(path),
    )


def _by_gdal(path: Path, max_pixels: int) -> Raster:
    found, empty = geo_file.read_layout(path, max_pixels), nodata.declared(path)
    return Raster(
        path,
        found.size,
        found.bands,
        found.dtype,
        lambda: geo_file.read_values(path),
        found.alpha,
        nodata=empty,
        lossy=found.lossy,
    )
