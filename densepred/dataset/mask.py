"""Read masks without converting ids to grey levels; files that may have changed their ids are refused."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

from densepred.dataset import image_layout, nodata
from densepred.dataset.image import inverted, refuse_hidden_bits, turn_back, turned_by_decoding
from densepred.dataset.image_file import MAX_PIXELS, WIDE, opened, pages, scaled_values
from densepred.dataset.raster import Raster, open_raster
from densepred.types import UserError

MIN_IS_WHITE = (
    "the mask is stored with 0 as white (MinIsWhite), so programs disagree about its ids; save it as PNG, or as TIFF "
    "with 0 as black"
)
PAGES = (
    "the mask has {} pages, and one would be read; save one mask per image, or if pages are classes, one page with the "
    "id of each pixel's class"
)

WITHOUT_ALPHA = "save it without an alpha channel"


def read_mask(path: str | Path, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Return the ids (H, W) of a mask as stored, or its colours (H, W, 3). EXIF is ignored.

    Raises UserError for files with lossy compression, transparency, fractions or several pages, and for damaged files.
    """
    return read_mask_palette(path, max_pixels)[0]


def read_mask_palette(path: str | Path, max_pixels: int = MAX_PIXELS) -> tuple[np.ndarray, np.ndarray | None]:
    """Return a mask as `read_mask` does, and its palette (N, 3) uint8; None without one."""
    path = Path(path)
    values, palette = _stored(path, max_pixels)
    return _whole(values, path), palette


class Mask(NamedTuple):
    """The ids (H, W) or colours (H, W, 3) of a mask, its palette (N, 3) uint8, and where it has no data, as bool."""

    values: np.ndarray
    palette: np.ndarray | None
    void: np.ndarray | None


def read_mask_void(path: Path, max_pixels: int = MAX_PIXELS, kept: Collection[int] = ()) -> Mask:
    """Return a mask with the pixels that hold the value of its tag GDAL_NODATA, unless that is one of the ids `kept`.

    Values are 0 where there is no data.
    """
    values, palette = _stored(path, max_pixels)
    empty = nodata.declared(path)
    if empty is None or empty in kept or not (void := nodata.missing(values, empty)).any():
        return Mask(_whole(values, path), palette, None)
    values = np.array(values)
    values[void] = 0
    return Mask(_whole(values, path), palette, void)


def _stored(path: Path, max_pixels: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the values of a mask as stored, and its palette."""
    if (raster := open_raster(path, max_pixels)) is not None:
        return _mask_values(raster), None
    with opened(path, max_pixels) as image:
        _refuse_as_mask(image, path, max_pixels)
        colours = image.getpalette("RGB") if image.mode == "P" else None
        turned = turned_by_decoding(image)
        ids = _ids(image, path)
        if turned > 1:
            layers = torch.from_numpy(np.array(ids)).reshape(*ids.shape[:2], -1).movedim(-1, 0)
            ids = turn_back(layers, turned).movedim(0, -1).numpy().squeeze(-1 if ids.ndim == 2 else ())
        return ids, None if colours is None else np.array(colours, np.uint8).reshape(-1, 3)


def has_palette(path: Path, max_pixels: int = MAX_PIXELS) -> bool:
    """Look into the header of a mask for a palette. Raises UserError if the file cannot be opened."""
    if path.suffix.lower() not in (".png", ".tif", ".tiff", ".gif", ".bmp"):
        return False
    with opened(path, max_pixels) as image:
        return image.mode == "P"


def _mask_values(raster: Raster) -> np.ndarray:
    """Return the values (H, W) or (H, W, 3) of a mask that Pillow does not read."""
    if raster.lossy:
        raise UserError(f"{raster.path}: its compression changes labels; save masks without loss, such as by deflate")
    if raster.inverted:
        raise UserError(f"{raster.path}: {MIN_IS_WHITE}")
    if raster.pages > 1:
        raise UserError(f"{raster.path}: {PAGES.format(raster.pages)}")
    values = raster.values()
    return values[..., 0] if raster.bands == 1 else values


def _refuse_as_mask(image: Image.Image, path: Path, max_pixels: int) -> None:
    """Raise UserError for files with changed ids, and for those that would be read in part only."""
    if image.format in ("JPEG", "MPO") or (image.format == "TIFF" and "jpeg" in str(image.info.get("compression"))):
        raise UserError(f"{path}: is a JPEG, and its compression changes labels; save masks as PNG")
    if image.format == "WEBP" and not image_layout.is_lossless_webp(path):
        raise UserError(f"{path}: is a lossy WebP, and its compression changes labels; save masks as PNG")
    found, _ = pages(image, path, max_pixels)
    if len(found) > 1:
        raise UserError(f"{path}: {PAGES.format(len(found))}")
    if image.format != "TIFF" and getattr(image, "is_animated", False):
        raise UserError(f"{path}: the mask has several frames, and one would be read; save one mask per image")
    if inverted(image) and image.mode != "1":
        raise UserError(f"{path}: {MIN_IS_WHITE}")
    refuse_hidden_bits(image, path)
    if reason := scaled_values(image):
        raise UserError(f"{path}: the mask {reason}; save the ids as a grey PNG of 8 or 16 bits")


def _ids(image: Image.Image, path: Path) -> np.ndarray:
    """Return the values (H, W) or colours (H, W, 3) of an open mask."""
    if image.mode in ("LA", "PA", "RGBA"):
        low, _ = image.getchannel("A").getextrema()
        if low != 255:
            colours = image.convert("RGB").getextrema()
            alone = all(least == most for least, most in colours)  # pyright: ignore[reportGeneralTypeIssues]
            remedy = "save its alpha channel, which alone has a drawing, as a grey PNG" if alone else WITHOUT_ALPHA
            raise UserError(f"{path}: the mask is partly transparent; {remedy}")
        return np.asarray(image)[..., 0] if image.mode != "RGBA" else np.asarray(image)[..., :3]
    if image.mode not in ("1", "L", "P", "RGB", "F", *WIDE):
        raise UserError(f"{path}: has mode {image.mode}, which masks cannot have; save it as grey or palette PNG")
    return np.asarray(image)


def _whole(values: np.ndarray, path: Path) -> np.ndarray:
    """Return ids as integers; floats must be whole numbers."""
    if values.dtype.kind == "f":
        if not np.isfinite(values).all() or (values != np.round(values)).any():
            raise UserError(f"{path}: the mask holds fractions; save class ids as whole numbers")
        values = values.astype(np.int64)
    if values.dtype.kind not in "iub" or not (values.ndim == 2 or values.shape[2] == 3):
        raise UserError(f"{path}: the mask is {values.dtype} of shape {values.shape}; save ids as (height, width)")
    return values.astype(np.uint8) if values.dtype == bool else np.array(values)
