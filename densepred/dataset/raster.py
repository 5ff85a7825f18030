"""Image files of any number of bands and any type of number: what Pillow does not read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from densepred.dataset import channel_files, dicom_file, geo_file, nodata, tiff_file
from densepred.dataset.image_file import MAX_PIXELS, WIDE, beyond_pillow, load_npy, opened
from densepred.dataset.intensity import pick
from densepred.errors import UserError

PIXELS = {"L": np.uint8, "F": np.float32, "I": np.int32}
"""Types of the numbers of Pillow's modes of one channel; the others have 16 bits."""


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

    A file that begins a case of several files stands for the whole case, see `channel_files`. Raises UserError if a
    file is damaged or too large, or its library is missing.
    """
    if files := channel_files.of(path):
        return _of_files([_channel(file, max_pixels) for file in files])
    return _of_file(path, max_pixels)


def _of_files(parts: Sequence[Raster]) -> Raster:
    """Return channels of equal sizes and types as the bands of one image, called as the first file."""
    first = parts[0]
    for part in parts[1:]:
        if (part.size, part.dtype, part.nodata) != (first.size, first.dtype, first.nodata):
            facts = [f"{one.size[0]}x{one.size[1]} of {one.depth}" for one in (part, first)]
            more = ", or has another value for pixels without data" if facts[0] == facts[1] else ""
            raise UserError(
                f"{part.path}: is {facts[0]}, and the first channel, {first.path.name}, is {facts[1]}{more}; save the "
                "channels of a case alike"
            )

    def values() -> np.ndarray:
        return np.concatenate([part.values() for part in parts], 2)

    return Raster(first.path, first.size, len(parts), first.dtype, values, nodata=first.nodata)


def _channel(path: Path, max_pixels: int) -> Raster:
    """Read the header of a file of one channel."""
    found = _of_file(path, max_pixels)
    if found is not None and found.bands == 1 and not found.inverted:
        return found
    with opened(path, max_pixels) as image:
        if found is not None or image.mode not in ("L", "F", *WIDE) or getattr(image, "n_frames", 1) > 1:
            kind = image.mode if found is None else f"{found.bands} bands"
            raise UserError(f"{path}: is one of several channels, and holds {kind}; save it in grey")
        dtype, size = np.dtype(PIXELS.get(image.mode, np.uint16)), (image.height, image.width)
        empty = nodata.declared(path) if image.format == "TIFF" else None
    return Raster(path, size, 1, dtype, partial(_pixels, path, max_pixels), nodata=empty)


def _pixels(path: Path, max_pixels: int) -> np.ndarray:
    with opened(path, max_pixels) as image:
        return np.asarray(image)[..., None]


def _of_file(path: Path, max_pixels: int) -> Raster | None:
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
