"""TIFF files that Pillow cannot read, or not as they are: many bands, 16 bits in colour, floats in colour; by tifffile.

tifffile (BSD, https://github.com/cgohlke/tifffile) reads uncompressed and deflated files alone, other compressions with
imagecodecs; the extra `tiff` installs both. Uncompressed files are mapped into memory.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from densepred.dataset import geo_file
from densepred.dataset.facts import counted
from densepred.dataset.image_file import MAX_PAGES, check_pixels, damage, full_size, hidden_slices, logged
from densepred.types import UserError

if TYPE_CHECKING:
    from tifffile import TiffPage

INSTALL = "pip install 'densepred[tiff]'"
PLAIN, DEFLATE = 1, (8, 32946)
BY_IMAGECODECS = (5, 32773, 34925, 50000)  # LZW, PackBits, LZMA, Zstandard: without loss, and of a known length
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB = 0, 1, 2  # of PhotometricInterpretation
ALPHA = (1, 2)  # of ExtraSamples
ORIENTATION = 274
SAFE = 2**26  # bytes that a strip or tile may fill in the worst case without being measured
MOST = 1032  # bytes that one byte of deflate can become


class NoDecoder(UserError):  # noqa: N818, named after the fact
    """The library that reads this file is not installed."""


@dataclass(frozen=True, slots=True)
class Layout:
    """`bands` are those of the pages together, alpha among them; `pages` are those at full size."""

    size: tuple[int, int]
    bands: int
    dtype: np.dtype
    alpha: bool
    previews: int
    inverted: bool
    orientation: int
    pages: int


def read_layout(path: Path, max_pixels: int, why: str) -> Layout:
    """Read the header of a TIFF that Pillow cannot read, for the reason `why`."""
    with _opened(path, why) as pages:
        return _layout(path, pages, max_pixels)


def read_values(path: Path, max_pixels: int, why: str) -> np.ndarray:
    """Return the pixels (H, W, bands) as they are stored, mapped from disk if they are one uncompressed page."""
    with _opened(path, why) as pages:
        _layout(path, pages, max_pixels)
        layers = [_values(path, pages[index]) for index in _kept(pages)]
        return layers[0] if len(layers) == 1 else np.concatenate(layers, 2)


@contextmanager
def _opened(path: Path, why: str) -> Iterator[list[TiffPage]]:
    """Yield the pages. Errors that tifffile only logs are errors too."""
    if find_spec("tifffile") is None:
        raise NoDecoder(f"{path}: Pillow cannot read this TIFF ({why}); type {INSTALL}, or save it as .npy or PNG")
    from tifffile import TiffFile

    with damage(path), logged("tifffile") as faults, TiffFile(path) as file:
        found: list[TiffPage] = []
        while len(found) <= MAX_PAGES:
            try:
                page = file.pages[len(found)]
            except IndexError:
                break
            found.append(page)  # pyright: ignore[reportArgumentType], frames come only with useframes
        if len(found) > MAX_PAGES:
            raise UserError(f"{path}: has more than {MAX_PAGES} pages; save them as separate images")
        yield found
        if faults:
            raise ValueError(faults[0])


def _kept(pages: Sequence[TiffPage]) -> list[int]:
    return full_size([(page.imagewidth, page.imagelength) for page in pages], [page.is_reduced for page in pages])


def _layout(path: Path, pages: Sequence[TiffPage], max_pixels: int) -> Layout:
    """Check what the pages at full size hold. Raises UserError before anything is decoded."""
    kept = [pages[index] for index in _kept(pages)]
    first = kept[0]
    if any((page.shape, page.dtype) != (first.shape, first.dtype) for page in kept):
        raise UserError(f"{path}: its pages have different sizes or types; save them as separate images")
    if len(kept) > 1 and first.samplesperpixel > 1:
        raise UserError(
            f"{path}: has {counted(len(kept), 'pages')} of {first.samplesperpixel} bands; save one page, or grey pages"
        )
    if lost := hidden_slices(first.description, first.imagedepth, len(pages)):
        raise UserError(f"{path}: {lost}")
    for page in kept:
        _check(path, page)
    assert first.dtype is not None
    bands = first.samplesperpixel * len(kept)
    check_pixels(path, first.imagelength, first.imagewidth, max_pixels, first.dtype.itemsize * bands)
    turned = first.tags.valueof(ORIENTATION)
    return Layout(
        (first.imagelength, first.imagewidth),
        bands,
        first.dtype,
        bool(first.extrasamples) and first.extrasamples[-1] in ALPHA,
        len(pages) - len(kept),
        first.photometric == WHITE_IS_ZERO,
        turned if turned in range(1, 9) else 1,
        len(kept),
    )


def _check(path: Path, page: TiffPage) -> None:
    """Raise UserError for pages that have another meaning than numbers per pixel, or that no decoder is there for."""
    if page.dtype is None or page.dtype.kind not in "iuf" or 0 in page.shape:
        bits, form = page.bitspersample, page.sampleformat
        raise UserError(f"{path}: holds {bits} bits of sample format {int(form)}; save it as uint8, uint16 or float32")
    if page.photometric not in (WHITE_IS_ZERO, BLACK_IS_ZERO, RGB):
        kind = getattr(page.photometric, "name", page.photometric)
        raise UserError(f"{path}: holds colours of the kind {kind}; save it as grey, RGB or plain bands")
    if page.compression in (PLAIN, *DEFLATE):
        return
    name = getattr(page.compression, "name", page.compression)
    if page.compression not in BY_IMAGECODECS:
        raise NoDecoder(f"{path}: is compressed by {name}; type {geo_file.INSTALL}, or save it by deflate or LZW")
    if find_spec("imagecodecs") is None:
        raise NoDecoder(f"{path}: is compressed by {name}, which imagecodecs reads; type {INSTALL}, or save by deflate")


def _values(path: Path, page: TiffPage) -> np.ndarray:
    """Return the pixels (H, W, bands) of a page."""
    if page.compression in DEFLATE and find_spec("imagecodecs") is None:
        _measure_deflated(path, page)
    array = page.asarray(out="memmap" if page.is_memmappable else None, maxworkers=1)
    planes, _, height, width, samples = page.shaped
    layers = array.reshape(planes, height, width, samples)
    return layers[0] if planes == 1 else layers[..., 0].transpose(1, 2, 0)


def _measure_deflated(path: Path, page: TiffPage) -> None:
    """Raise UserError if a strip or tile would become longer than its pixels: zlib alone knows no limit."""
    assert page.dtype is not None
    limit = int(np.prod(page.chunks)) * page.dtype.itemsize
    handle = page.parent.filehandle
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
        if count * MOST <= max(SAFE, limit):
            continue
        handle.seek(offset)
        if len(zlib.decompressobj().decompress(handle.read(count), limit + 1)) > limit:
            raise UserError(f"{path}: a part of it becomes longer than its pixels; save the image again, or remove it")
