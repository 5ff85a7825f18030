"""Open image files of unknown origin: every failure is a UserError that names the file."""

from __future__ import annotations

import logging
import os
import re
import stat
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from densepred.dataset import image_layout
from densepred.errors import MachineError, out_of_memory, shown
from densepred.nn import ceil_div
from densepred.types import UserError

_PILLOW = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".gif", ".ppm", ".pgm")
EXTENSIONS = frozenset((*_PILLOW, ".npy", ".dcm", ".dicom"))
FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "GIF", "PPM")
MAX_PIXELS = 200_000_000
MAX_PAGES = 256
PIXEL = 3  # bytes of a pixel in 8-bit colour, by which `max_pixels` is counted
WIDE = ("I;16", "I;16B", "I;16L", "I;16N", "I")
_SAMPLES = 277  # TIFF's SamplesPerPixel
_NOTED = re.compile(r"ImageJ=[^\0]*?\nimages=(\d+)|\{\"shape\": \[(\d+), .*\"truncated\": true")
_FEW_BITS = re.compile(r"L;([24])")
_BIG_ENDIAN = ("BS", "BF")  # ends of Pillow's names for signed integers and floats with the high byte first
_BITS = 258  # TIFF's BitsPerSample
_SUBFILE = 254  # TIFF's NewSubfileType; bit 0 marks a reduced copy of another page


@contextmanager
def opened(path: Path, max_pixels: int = MAX_PIXELS) -> Iterator[Image.Image]:
    """Open an image, read its header and check its size, but do not decode it.

    Errors while the image is used become UserErrors too.
    """
    check_file(path)
    image_layout.check(path)
    with damage(path), _by_pillow(path, FORMATS) as image:
        check_pixels(path, image.height, image.width, max_pixels, _bytes(image))
        unmapped(image)
        yield image


class Unreadable(UserError):  # noqa: N818 - named after the fact
    """A file of images or labels that is damaged, cut or empty: what `data.on_bad=skip` is for."""


@contextmanager
def damage(path: Path) -> Iterator[None]:
    """Turn whatever a library raises on a damaged file into a UserError that names the file."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # Pillow's plug-ins raise nearly every type
        if out_of_memory(error):  # no fault of the file: data.on_bad=skip must not leave it out
            raise MachineError(f"{path}: not enough memory to decode it; lower max_pixels or remove it") from error
        reason = " ".join(str(error).split()) or type(error).__name__
        raise Unreadable(f"{path}: cannot be read as an image ({reason}); replace or remove the file") from error


@contextmanager
def _by_pillow(path: Path, formats: tuple[str, ...]) -> Iterator[Image.Image]:
    """Open an image without Pillow's own limit, which only warns, is not a setting and does not name the file."""
    limit = Image.MAX_IMAGE_PIXELS
    try:
        Image.MAX_IMAGE_PIXELS = None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path, formats=formats) as image:
                yield image
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def beyond_pillow(path: Path) -> str | None:
    """Return why Pillow cannot read a TIFF, or not as it is; None if it can, or the file is no TIFF."""
    check_file(path)
    with path.open("rb") as file:
        if file.read(4) not in image_layout.TIFF:
            return None
    image_layout.check(path)
    try:
        with logged("PIL.TiffImagePlugin"), _by_pillow(path, ("TIFF",)) as image:
            return hidden_values(image)
    except Exception as error:  # as above
        return " ".join(str(error).split()).replace(f" {str(path)!r}", "") or type(error).__name__


@contextmanager
def logged(name: str, level: int = logging.ERROR) -> Iterator[list[str]]:
    """Collect the errors, or other records from a level on, that a library logs, in place of printing them."""
    found: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.levelno >= level:
                found.append(record.getMessage())

    logger, handler = logging.getLogger(name), Collector()
    before, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield found
    finally:
        logger.removeHandler(handler)
        logger.propagate = before


def hidden_values(image: Image.Image) -> str | None:
    """Return what Pillow would drop in silence: half of 16-bit colour, bands of a TIFF; None if it drops nothing.

    Call it before decoding, after which Pillow no longer knows how the pixels were stored.
    """
    wide = ";16" in _raw(image) or (_white(image) or 0) > 255 or _bits(image) > 8
    if wide and image.mode not in (*WIDE, "F"):
        return "has 16 bits per colour, but 8 are read; save it as .npy or as 16-bit grey"
    if (count := samples(image)) > len(image.getbands()):
        return f"has {count} bands in one page; save them as .npy or as pages"
    if _codec(image) == "libtiff" and _raw(image).endswith(_BIG_ENDIAN):  # which libtiff has turned already
        return "is compressed with the high byte first, which Pillow turns twice; save it uncompressed or as .npy"
    return None


def scaled_values(image: Image.Image) -> str | None:
    """Return how Pillow would change grey values that are ids, so that the brightest is white; None if it does not."""
    if (white := _white(image)) not in (None, 255, 65535):
        return f"declares {white} as white, so values are scaled to {255 if image.mode == 'L' else 65535}"
    if found := _FEW_BITS.match(_raw(image)):
        return f"has {found[1]} bits per pixel, so values are multiplied by {255 // (2 ** int(found[1]) - 1)}"
    return None


def _raw(image: Image.Image) -> str:
    """Return how the pixels are stored, as Pillow calls it, such as "L;4"."""
    return next((part for tile in getattr(image, "tile", ()) for part in _texts(tile[3])), "")


def _codec(image: Image.Image) -> str:
    """Return the name of Pillow's decoder for an image, such as "libtiff" for compressed TIFF."""
    return next((tile[0] for tile in getattr(image, "tile", ())), "")


def _white(image: Image.Image) -> int | None:
    """Return the greatest value that a PPM or PGM file declares; None for other files, and if Pillow need not scale."""
    codec, _, _, arguments = next(iter(getattr(image, "tile", ())), ("", None, 0, None))
    return arguments[-1] if codec in ("ppm", "ppm_plain") and isinstance(arguments, tuple) else None


def hidden_slices(description: object, depth: int, pages: int) -> str | None:
    """Return what a TIFF holds beyond its pages, by ImageDepth and notes of ImageJ and tifffile; None if nothing."""
    if depth > 1:
        return f"is a volume of {depth} slices in one page; save each slice as an image"
    found = _NOTED.match(str(description))
    count = int(found[1] or found[2]) if found else 0
    return (
        f"holds {count} images in {pages} pages, and the others would be lost; save them as pages or as .npy"
        if (count > pages)
        else None
    )


def samples(image: Image.Image) -> int:
    """Return the bands of a page of a TIFF; 0 for other formats."""
    return getattr(image, "tag_v2", {}).get(_SAMPLES, 0)


def _bits(image: Image.Image) -> int:
    """Return the bits of a sample of a TIFF; 0 for other formats.

    If each band lies in strips of its own, the raw mode that Pillow gives ("R") holds none of them.
    """
    return max(getattr(image, "tag_v2", {}).get(_BITS, ()), default=0)


def _texts(args: object) -> list[str]:
    return [part for part in (args if isinstance(args, tuple) else (args,)) if isinstance(part, str)]


def unmapped(image: Image.Image) -> None:
    """Keep Pillow from mapping a plain TIFF from disk: it would exchange height and width if EXIF turns the image."""
    if image.format == "TIFF" and hasattr(image, "filename"):
        vars(image)["filename"] = ""


def check_file(path: Path) -> None:
    """Raise UserError unless this is a regular file with content: opening a pipe would wait forever."""
    try:
        status = os.stat(path)
    except ValueError as error:  # a zero byte
        raise UserError(f"{shown(str(path))}: no file has such a name; correct the name") from error
    except OSError as error:
        link = os.path.islink(path)  # False, unlike Path, for a name that is too long
        if isinstance(error, FileNotFoundError) and not link:
            raise UserError(f"{path}: there is no such file; check the path, or restore the file") from error
        what = "is a link that leads nowhere" if link else (error.strerror or "cannot be opened").lower()
        raise UserError(f"{path}: {what}; restore or remove it") from error
    if not stat.S_ISREG(status.st_mode):
        what = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe or a device"
        raise UserError(f"{path}: is {what}, not an image file; rename or remove it")
    if status.st_size == 0:
        raise Unreadable(f"{path}: is empty (0 bytes); replace or remove the file")


def _bytes(image: Image.Image) -> int:
    """Return the bytes of a pixel."""
    wide = 4 if image.mode in ("I", "F") else 2 if image.mode.startswith("I;16") else 1
    return wide * len(image.getbands())


def check_pixels(path: Path, height: int, width: int, max_pixels: int, size: int = PIXEL) -> None:
    """Raise UserError for images that need more memory than `max_pixels` pixels of PIXEL bytes; theirs has `size`."""
    pixels = height * width
    wanted = max(pixels, ceil_div(pixels * size, PIXEL))  # rounded up
    remedy = f"more than {max_pixels}; raise max_pixels to {wanted} if you trust the file"
    if pixels > max_pixels:
        raise UserError(f"{path}: {height}x{width} is {pixels} pixels, {remedy}")
    if wanted > max_pixels:
        fact = f"{height}x{width} pixels of {size} bytes need the memory of {wanted} pixels in colour"
        raise UserError(f"{path}: {fact}, {remedy}")


def map_npy(path: Path) -> np.ndarray:
    """Map an array of any shape from disk, without unpickling. Raises UserError if it is damaged."""
    check_file(path)
    try:
        return np.lib.format.open_memmap(path, mode="r")  # numpy.load would open zip files and pickles too
    except Exception as error:  # numpy parses the header as Python, so tokens of any kind may be wrong
        if out_of_memory(error):
            raise
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{path}: cannot be read as an array ({reason}); save it again with numpy.save") from error


def load_npy(path: Path, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Map an array (H, W) or (H, W, C) from disk, without unpickling."""
    array = map_npy(path)
    if array.ndim not in (2, 3) or 0 in array.shape:
        raise UserError(f"{path}: has shape {array.shape}; save it as (height, width) or (height, width, channels)")
    each = array.dtype.itemsize * (array.shape[2] if array.ndim == 3 else 1)
    check_pixels(path, array.shape[0], array.shape[1], max_pixels, max(each, 1))
    return array


def pages(image: Image.Image, path: Path, max_pixels: int = MAX_PIXELS) -> tuple[list[int], int]:
    """Return the pages of a TIFF at full size, and the number of previews; the first of the pages is then open.

    A preview is marked as a reduced image, or at most half as wide and half as high as the largest page. Other formats
    have one page: counting their frames would decode them.
    """
    if image.format != "TIFF":
        return [0], 0
    sizes, reduced = [], []
    while len(sizes) <= MAX_PAGES:
        try:
            image.seek(len(sizes))
        except EOFError:
            break
        sizes.append(image.size)
        reduced.append(bool(getattr(image, "tag_v2", {}).get(_SUBFILE, 0) & 1))
    if len(sizes) > MAX_PAGES:
        raise UserError(f"{path}: has more than {MAX_PAGES} pages; save them as separate images")
    kept = full_size(sizes, reduced)
    width, height = max((sizes[index] for index in kept), key=lambda size: size[0] * size[1])
    check_pixels(path, height, width, max_pixels, _bytes(image) * len(kept))
    image.seek(kept[0])
    return kept, len(sizes) - len(kept)


def full_size(sizes: Sequence[tuple[int, int]], reduced: Sequence[bool]) -> list[int]:
    """Return the pages that are no previews, see `pages`, by the sizes and the marks of all."""
    marked = [index for index, small in enumerate(reduced) if not small] or list(range(len(sizes)))
    width, height = max((sizes[index] for index in marked), key=lambda size: size[0] * size[1])
    return [i for i in marked if sizes[i][0] * 2 > width or sizes[i][1] * 2 > height]
