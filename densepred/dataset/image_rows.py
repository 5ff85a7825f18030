"""An image that is read by rows, so that a large one need not be in memory as a whole.

TIFF, PPM and PGM files of 8 bits without compression are read from the disk row by row. So are `.npy` files of uint8.
Pillow decodes other files of 8 bits as a whole, at 4 bytes per pixel in colour and 1 in grey. Images to turn, or to
divide by their white, are read by `read_image`: 1 byte per value, or 4 as floats.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image
from torch import Tensor

from densepred.dataset import image, nodata
from densepred.dataset.image_file import MAX_PIXELS, WIDE, load_npy, opened, pages
from densepred.dataset.intensity import Channels, fit
from densepred.dataset.raster import open_raster
from densepred.types import UserError

WHOLE_ROWS = ("L", "RGB")
"""Modes of Pillow with one byte per value, in which files hold rows as `read` returns them."""


class Rows(Protocol):
    """An image by rows: `size` is (H, W), `read` returns (C, stop - start, W), uint8 or float32 in [0, 1]."""

    size: tuple[int, int]

    def read(self, start: int, stop: int) -> Tensor: ...


class Loaded:
    """Rows of an image (C, H, W) in memory."""

    def __init__(self, pixels: Tensor) -> None:
        self.pixels, self.size = pixels, (int(pixels.shape[-2]), int(pixels.shape[-1]))

    def read(self, start: int, stop: int) -> Tensor:
        return self.pixels[:, start:stop]


class Decoded:
    """Rows of an image that Pillow holds."""

    def __init__(self, picture: Image.Image, channels: int | None, path: Path) -> None:
        self.picture, self.channels, self.path = picture, channels, path
        self.size = (picture.height, picture.width)

    def read(self, start: int, stop: int) -> Tensor:
        values = np.array(self.picture.crop((0, start, self.size[1], stop)))
        return fit(values[..., None] if values.ndim == 2 else values, self.channels, self.path)


class Stored:
    """Rows of values (H, W, C) uint8 that lie in a file, from `offset` on."""

    def __init__(self, path: Path, offset: int, shape: tuple[int, int, int], channels: int | None) -> None:
        self.path, self.offset, self.shape, self.channels = path, offset, shape, channels
        self.size = shape[:2]

    def read(self, start: int, stop: int) -> Tensor:
        row = self.shape[1] * self.shape[2]
        values = np.fromfile(self.path, np.uint8, (stop - start) * row, offset=self.offset + start * row)
        if len(values) < (stop - start) * row:
            raise UserError(f"{self.path}: ends in the middle of its pixels; replace or remove the file")
        return fit(values.reshape(-1, *self.shape[1:]), self.channels, self.path)


def open_rows(path: Path, channels: Channels = None, max_pixels: int = MAX_PIXELS, upright: bool = True) -> Rows | None:
    """Return the rows of an image of 8 bits: the pixels, the arguments and the errors are those of `read_image`.

    None for an image that has to be read as a whole: to turn it, to scale it, or to pick bands.
    """
    if isinstance(channels, Sequence):
        return None
    if path.suffix.lower() == ".npy":
        found = _array(path, channels, max_pixels)
    elif open_raster(path, max_pixels) is not None:
        return None
    else:
        with opened(path, max_pixels) as picture:
            found = _rows(picture, path, channels, max_pixels, upright)
    if found is not None:
        found.read(0, 1)  # channels that do not fit are refused here
    return found


def _array(path: Path, channels: int | None, max_pixels: int) -> Stored | None:
    """Return the rows of an array of uint8 that lie in the file one after another."""
    values = load_npy(path, max_pixels)
    if values.dtype != np.uint8 or not values.flags.c_contiguous or not isinstance(values, np.memmap):
        return None
    return Stored(path, int(values.offset), (*values.shape[:2], values.shape[2] if values.ndim == 3 else 1), channels)


def _rows(picture: Image.Image, path: Path, channels: int | None, max_pixels: int, upright: bool) -> Rows | None:
    """Return the rows of a picture that needs neither turning nor scaling."""
    found, _ = pages(picture, path, max_pixels)
    image.refuse_hidden_bits(picture, path)
    if len(found) > 1 or picture.mode in ("F", *WIDE) or image.turned_by_decoding(picture) > 1:
        return None
    if picture.format == "TIFF" and nodata.declared(path) is not None:
        return None
    if (stored := _stored(picture, path, channels)) is not None:
        return stored
    converted = image.of_bytes(picture, channels)
    converted.load()
    return None if upright and image.orientation_of(picture) > 1 else Decoded(converted, channels, path)


def _stored(picture: Image.Image, path: Path, channels: int | None) -> Stored | None:
    """Return the rows of a TIFF, PPM or PGM without compression, if they lie in the file one after another."""
    if picture.format not in ("TIFF", "PPM") or picture.mode not in WHOLE_ROWS:
        return None
    bands, width, begin = len(picture.getbands()), picture.width, None
    for decoder, (left, top, right, _), offset, args in getattr(picture, "tile", ()):
        mode, stride, way = (*args, 0, 1)[:3] if isinstance(args, tuple) else (args, 0, 1)
        plain = decoder == "raw" and (mode, way) == (picture.mode, 1) and stride in (0, width * bands)
        begin = offset if begin is None else begin
        if not plain or (left, right) != (0, width) or offset != begin + top * width * bands:
            return None
    if begin is None or path.stat().st_size < begin + picture.height * width * bands:
        return None  # Pillow has an error for it
    return Stored(path, begin, (picture.height, width, bands), channels)
