"""Read images and masks of any usual mode, without clipping values or converting ids to grey levels.

Channels of each mode, unless `channels` is given:
1, L, LA -> 1 channel; RGB, P, RGBA, CMYK, YCbCr and the like -> 3 (alpha is dropped); 8 bits stay uint8;
integers of more bits are divided by `max_value` and floats must lie in [0, 1], both float32; pages of a TIFF are
channels. So an image of uint8 is one of 0..255, any other one of 0..1: `intensity` decides its scale, once.
Pillow decodes all that it reads as it is; `raster` has the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from densepred.dataset import image_layout
from densepred.dataset.image_file import MAX_PIXELS, WIDE, hidden_slices, hidden_values, opened, pages, unmapped
from densepred.dataset.intensity import Channels, fit, pick, unit
from densepred.dataset.raster import Raster, open_raster
from densepred.types import UserError

_ORIENTATION, _PHOTOMETRIC, _SAMPLE_FORMAT, _DESCRIPTION, _DEPTH = 0x0112, 262, 339, 270, 32997
_SIGNED = 2  # value of SampleFormat
MIN_IS_WHITE = (
    "the mask is stored with 0 as white (MinIsWhite), so programs disagree about its ids; save it as PNG, or as TIFF "
    "with 0 as black"
)
PAGES = (
    "the mask has {} pages, and one would be read; save one mask per image, or if pages are classes, one page with the "
    "id of each pixel's class"
)


def read_image(
    path: str | Path,
    channels: Channels = None,
    max_pixels: int = MAX_PIXELS,
    upright: bool = True,
    max_value: int | None = None,
) -> Tensor:
    """Return an image (C, H, W), uint8, or float32 in [0, 1], turned by its EXIF orientation if `upright`.

    With a number of `channels`, grey and RGB are converted to each other, and alpha is kept if it is the missing one.
    A list of `channels` picks bands of the file, counted from 1, alpha among them.
    `max_value` is white in integers of more than 8 bits; None means 65535 in uint16, and in other types 255, or 65535
    if a value is larger.
    Raises UserError if the file is damaged, too large or of a mode that would lose values.
    """
    image, orientation = read_stored(path, channels, max_pixels, max_value)
    return turn(image, orientation) if upright else image


def read_stored(
    path: str | Path, channels: Channels = None, max_pixels: int = MAX_PIXELS, max_value: int | None = None
) -> tuple[Tensor, int]:
    """Return an image as it is stored, (C, H, W), and its EXIF orientation, 1 to 8."""
    path = Path(path)
    if (raster := open_raster(path, max_pixels)) is not None:
        values = unit(raster.read(channels), path, max_value)
        values = _negative(values) if raster.inverted else values
        return fit(values, None if isinstance(channels, Sequence) else channels, path), raster.orientation
    with opened(path, max_pixels) as image:
        found, _ = pages(image, path, max_pixels)
        _refuse_hidden_bits(image, path)
        turned = turned_by_decoding(image)
        if len(found) == 1:
            values = _decode(image, path, channels, max_value)
        else:
            layers = [_page(image, index, path, max_value) for index in found]
            if len({layer.shape for layer in layers}) > 1:
                raise UserError(f"{path}: its pages have different sizes; save them as separate images")
            values = np.concatenate(layers, 2)
        # Only now, because Pillow decodes a PNG to look for EXIF
        orientation = orientation_of(image)
    stored = _chosen(values, channels, path)
    return (turn_back(stored, turned), turned) if turned > 1 else (stored, orientation)


def turned_by_decoding(image: Image.Image) -> int:
    """Return the orientation that Pillow will apply when it decodes an image: it does so in TIFF, and in no other."""
    return orientation_of(image) if image.format == "TIFF" else 1


def orientation_of(image: Image.Image) -> int:
    """Return the EXIF orientation of an open image, 1 to 8."""
    if raw := image.info.get("exif"):
        image_layout.check_exif(raw)
    found = image.getexif().get(_ORIENTATION, 1)
    return found if found in range(1, 9) else 1


def turn(image: Tensor, orientation: int) -> Tensor:
    """Turn an image (C, H, W) as viewers show it."""
    image = image.transpose(1, 2) if orientation >= 5 else image
    axes = {2: (2,), 3: (1, 2), 4: (1,), 6: (2,), 7: (1, 2), 8: (1,)}.get(orientation, ())
    return image.flip(axes).contiguous() if axes else image.contiguous()


def turn_back(image: Tensor, orientation: int) -> Tensor:
    """Undo `turn`."""
    return turn(image, {6: 8, 8: 6}.get(orientation, orientation))


def read_mask(path: str | Path, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Return the ids (H, W) of a mask as stored, or its colours (H, W, 3). EXIF is ignored.

    Raises UserError for files with lossy compression, transparency, fractions or several pages, and for damaged files.
    """
    return read_mask_palette(path, max_pixels)[0]


def read_mask_palette(path: str | Path, max_pixels: int = MAX_PIXELS) -> tuple[np.ndarray, np.ndarray | None]:
    """Return a mask as `read_mask` does, and its palette (N, 3) uint8; None without one."""
    path = Path(path)
    if (raster := open_raster(path, max_pixels)) is not None:
        return _whole(_mask_values(raster), path), None
    with opened(path, max_pixels) as image:
        _refuse_as_mask(image, path, max_pixels)
        colours = image.getpalette("RGB") if image.mode == "P" else None
        turned = turned_by_decoding(image)
        ids = _ids(image, path)
        if turned > 1:
            layers = torch.from_numpy(np.array(ids)).reshape(*ids.shape[:2], -1).movedim(-1, 0)
            ids = turn_back(layers, turned).movedim(0, -1).numpy().squeeze(-1 if ids.ndim == 2 else ())
        return ids, None if colours is None else np.array(colours, np.uint8).reshape(-1, 3)


def _mask_values(raster: Raster) -> np.ndarray:
    """Return the values (H, W) or (H, W, 3) of a mask that Pillow does not read."""
    if raster.inverted:
        raise UserError(f"{raster.path}: {MIN_IS_WHITE}")
    if raster.pages > 1:
        raise UserError(f"{raster.path}: {PAGES.format(raster.pages)}")
    values = raster.values()
    return values[..., 0] if raster.bands == 1 else values


def _refuse_as_mask(image: Image.Image, path: Path, max_pixels: int) -> None:
    """Raise UserError for files with changed ids, and for those that would be read in part only."""
    if image.format in ("JPEG", "MPO"):
        raise UserError(f"{path}: is a JPEG, and its compression changes labels; save masks as PNG")
    if image.format == "WEBP" and not image_layout.is_lossless_webp(path):
        raise UserError(f"{path}: is a lossy WebP, and its compression changes labels; save masks as PNG")
    found, _ = pages(image, path, max_pixels)
    if len(found) > 1:
        raise UserError(f"{path}: {PAGES.format(len(found))}")
    if image.format != "TIFF" and getattr(image, "is_animated", False):
        raise UserError(f"{path}: the mask has several frames, and one would be read; save one mask per image")
    if _inverted(image) and image.mode != "1":
        raise UserError(f"{path}: {MIN_IS_WHITE}")
    _refuse_hidden_bits(image, path)


def _ids(image: Image.Image, path: Path) -> np.ndarray:
    """Return the ids (H, W) or colours (H, W, 3) of an open mask."""
    if image.mode in ("LA", "PA", "RGBA"):
        low, _ = image.getchannel("A").getextrema()
        if low != 255:
            raise UserError(f"{path}: the mask is partly transparent; save it without an alpha channel")
        return np.asarray(image)[..., 0] if image.mode != "RGBA" else np.asarray(image)[..., :3]
    if image.mode not in ("1", "L", "P", "RGB", "F", *WIDE):
        raise UserError(f"{path}: has mode {image.mode}, which masks cannot have; save it as grey or palette PNG")
    values = np.asarray(image)
    return values.astype(np.uint8) if values.dtype == bool else _whole(values, path)


def _inverted(image: Image.Image) -> bool:
    """Return True for a TIFF in which 0 is white."""
    return image.format == "TIFF" and getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == 0


def _page(image: Image.Image, index: int, path: Path, max_value: int | None) -> np.ndarray:
    image.seek(index)
    _refuse_hidden_bits(image, path)
    layer = _decode(image, path, None, max_value)
    if layer.shape[2] != 1:
        raise UserError(f"{path}: page {index + 1} is in colour, and pages are channels; save each in grey")
    return layer


def _decode(image: Image.Image, path: Path, channels: Channels, max_value: int | None = None) -> np.ndarray:
    """Return values (H, W, C): uint8, or float32 in [0, 1]; 0 is black."""
    if image.mode in ("F", *WIDE):
        values = unit(np.asarray(image), path, max_value)
        # Pillow inverts 8 bits and fewer, no others
        return _negative(values) if _inverted(image) else values
    every = isinstance(channels, Sequence)
    if (channels == 4 or every) and (image.mode == "RGBA" or "transparency" in image.info):
        image = image.convert("RGBA")
    elif image.mode in ("1", "LA") and not (image.mode == "LA" and (channels == 2 or every)):
        image = image.convert("L")
    elif image.mode not in ("L", "LA", "RGB"):
        image = image.convert("RGB")
    values = np.array(image)
    return values[..., None] if values.ndim == 2 else values


def _negative(values: np.ndarray) -> np.ndarray:
    return (255 if values.dtype == np.uint8 else 1) - values


def _refuse_hidden_bits(image: Image.Image, path: Path) -> None:
    """Raise UserError for values that Pillow would drop or change in silence, see `hidden_values`."""
    if lost := hidden_values(image):
        raise UserError(f"{path}: {lost}")
    tags = getattr(image, "tag_v2", {})
    noted = _DESCRIPTION in tags or _DEPTH in tags
    if noted and (lost := hidden_slices(tags.get(_DESCRIPTION), tags.get(_DEPTH, 1), getattr(image, "n_frames", 1))):
        raise UserError(f"{path}: {lost}")
    if _SIGNED in np.ravel(tags.get(_SAMPLE_FORMAT, 1)) and image.mode not in ("F", *WIDE):
        raise UserError(f"{path}: holds signed integers of 8 bits, which are read as unsigned; save it with 16 bits")


def _whole(values: np.ndarray, path: Path) -> np.ndarray:
    """Return ids as integers; floats must be whole numbers."""
    if values.dtype.kind == "f":
        if not np.isfinite(values).all() or (values != np.round(values)).any():
            raise UserError(f"{path}: the mask holds fractions; save class ids as whole numbers")
        values = values.astype(np.int64)
    if values.dtype.kind not in "iub" or not (values.ndim == 2 or values.shape[2] == 3):
        raise UserError(f"{path}: the mask is {values.dtype} of shape {values.shape}; save ids as (height, width)")
    return np.array(values)


def highest(path: Path, max_pixels: int = MAX_PIXELS) -> int:
    """Return the largest stored value of an image of integers."""
    if (raster := open_raster(path, max_pixels)) is not None:
        return int(raster.values().max())
    with opened(path, max_pixels) as image:
        found, _ = pages(image, path, max_pixels)
        return max(_highest(image, index) for index in found)


def _highest(image: Image.Image, page: int) -> int:
    image.seek(page)
    return int(np.asarray(image).max())


def from_image(
    image: Image.Image,
    channels: Channels = None,
    max_value: int | None = None,
    name: str = "image",
    upright: bool = True,
) -> Tensor:
    """Convert an image in memory, as `read_image` does with a file."""
    path = Path(name)
    _refuse_hidden_bits(image, path)
    unmapped(image)
    turned = turned_by_decoding(image)
    found = _chosen(_decode(image, path, channels, max_value), channels, path)
    if turned > 1:
        return found if upright else turn_back(found, turned)
    return turn(found, orientation_of(image)) if upright else found


def from_array(
    values: np.ndarray, channels: Channels = None, max_value: int | None = None, name: str = "image"
) -> Tensor:
    """Convert an array (H, W) or (H, W, C) in memory, as `read_image` does with a file."""
    return _chosen(unit(values, Path(name), max_value), channels, Path(name))


def _chosen(values: np.ndarray, channels: Channels, path: Path) -> Tensor:
    """Convert (H, W, C) to a tensor of this number of channels, or of these bands."""
    if isinstance(channels, Sequence):
        return fit(pick(values, channels, path), None, path)
    return fit(values, channels, path)
