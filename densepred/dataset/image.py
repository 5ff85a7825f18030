"""Read images and masks of any usual mode, without clipping values or converting ids to grey levels.

Channels of each mode, unless `channels` is given:
1, L, LA -> 1 channel; RGB, P, RGBA, CMYK, YCbCr and the like -> 3 (alpha is dropped); 8 bits stay uint8;
integers of more bits are divided by `max_value` and floats must lie in [0, 1], both float32; pages of a TIFF are
channels. So an image of uint8 is one of 0..255, any other one of 0..1: its scale is decided here, once.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from densepred.dataset import image_layout
from densepred.dataset.image_file import MAX_PIXELS, load_npy, opened, pages, unmapped
from densepred.types import WHITE, UserError

WIDE = ("I;16", "I;16B", "I;16L", "I;16N", "I")
_ORIENTATION, _PHOTOMETRIC, _SAMPLE_FORMAT = 0x0112, 262, 339
_SIGNED = 2  # value of SampleFormat
DEPTHS = (8, 10, 12, 14, 16)
"""Bits of a value as cameras deliver them, whatever the type of the file."""


def read_image(
    path: str | Path,
    channels: int | None = None,
    max_pixels: int = MAX_PIXELS,
    upright: bool = True,
    max_value: int | None = None,
) -> Tensor:
    """Return an image (C, H, W), uint8, or float32 in [0, 1], turned by its EXIF orientation if `upright`.

    With `channels`, grey and RGB are converted to each other, and alpha is kept if it is the missing channel.
    `max_value` is white in integers of more than 8 bits; None means 65535 in uint16, and in other types 255, or 65535
    if a value is larger.
    Raises UserError if the file is damaged, too large or of a mode that would lose values.
    """
    image, orientation = read_stored(path, channels, max_pixels, max_value)
    return turn(image, orientation) if upright else image


def read_stored(
    path: str | Path, channels: int | None = None, max_pixels: int = MAX_PIXELS, max_value: int | None = None
) -> tuple[Tensor, int]:
    """Return an image as it is stored, (C, H, W), and its EXIF orientation, 1 to 8."""
    path = Path(path)
    if path.suffix.lower() == ".npy":
        return _fit(_unit(np.asarray(load_npy(path, max_pixels)), path, max_value), channels, path), 1
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
    stored = _fit(values, channels, path)
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
    if path.suffix.lower() == ".npy":
        return _whole(np.asarray(load_npy(path, max_pixels)), path), None
    with opened(path, max_pixels) as image:
        _refuse_as_mask(image, path, max_pixels)
        colours = image.getpalette("RGB") if image.mode == "P" else None
        turned = turned_by_decoding(image)
        ids = _ids(image, path)
        if turned > 1:
            layers = torch.from_numpy(np.array(ids)).reshape(*ids.shape[:2], -1).movedim(-1, 0)
            ids = turn_back(layers, turned).movedim(0, -1).numpy().squeeze(-1 if ids.ndim == 2 else ())
        return ids, None if colours is None else np.array(colours, np.uint8).reshape(-1, 3)


def _refuse_as_mask(image: Image.Image, path: Path, max_pixels: int) -> None:
    """Raise UserError for files with changed ids, and for those that would be read in part only."""
    if image.format in ("JPEG", "MPO"):
        raise UserError(f"{path}: is a JPEG, and its compression changes labels; save masks as PNG")
    if image.format == "WEBP" and not image_layout.is_lossless_webp(path):
        raise UserError(f"{path}: is a lossy WebP, and its compression changes labels; save masks as PNG")
    found, _ = pages(image, path, max_pixels)
    if len(found) > 1:
        raise UserError(
            f"{path}: the mask has {len(found)} pages, and one would be read; save one mask per image, or if pages are "
            "classes, one page with the id of each pixel's class"
        )
    if image.format != "TIFF" and getattr(image, "is_animated", False):
        raise UserError(f"{path}: the mask has several frames, and one would be read; save one mask per image")
    if _inverted(image) and image.mode != "1":
        raise UserError(
            f"{path}: the mask is stored with 0 as white (MinIsWhite), so programs disagree about its ids; save it "
            "as PNG, or as TIFF with 0 as black"
        )
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
        raise UserError(f"{path}: page {index + 1} is in colour; pages are channels and must be grey")
    return layer


def _decode(image: Image.Image, path: Path, channels: int | None, max_value: int | None = None) -> np.ndarray:
    """Return values (H, W, C): uint8, or float32 in [0, 1]; 0 is black."""
    if image.mode in ("F", *WIDE):
        values = _unit(np.asarray(image), path, max_value)
        # Pillow inverts 8 bits and fewer, no others
        return (255 if values.dtype == np.uint8 else 1) - values if _inverted(image) else values
    if channels == 4 and (image.mode == "RGBA" or "transparency" in image.info):
        image = image.convert("RGBA")
    elif image.mode in ("1", "LA") and not (image.mode == "LA" and channels == 2):
        image = image.convert("L")
    elif image.mode not in ("L", "LA", "RGB"):
        image = image.convert("RGB")
    values = np.array(image)
    return values[..., None] if values.ndim == 2 else values


def _refuse_hidden_bits(image: Image.Image, path: Path) -> None:
    """Raise UserError for 16-bit colour, which Pillow silently reads as 8-bit, and for TIFF bands that it drops.

    Call it before decoding, after which Pillow no longer knows how the pixels were stored.
    """
    raw = next((part for tile in getattr(image, "tile", ()) for part in _texts(tile[3])), "")
    if ";16" in raw and image.mode not in WIDE:
        raise UserError(f"{path}: has 16 bits per colour, but 8 are read; save it as .npy or as 16-bit grey")
    tags = getattr(image, "tag_v2", {})
    if _SIGNED in np.ravel(tags.get(_SAMPLE_FORMAT, 1)) and image.mode not in ("F", *WIDE):
        raise UserError(f"{path}: holds signed integers of 8 bits, which are read as unsigned; save it with 16 bits")
    samples = tags.get(277, 0)
    if samples > len(image.getbands()):
        raise UserError(f"{path}: has {samples} bands in one page; save them as .npy or as pages")


def _texts(args: object) -> list[str]:
    return [part for part in (args if isinstance(args, tuple) else (args,)) if isinstance(part, str)]


def _unit(values: np.ndarray, path: Path, max_value: int | None) -> np.ndarray:
    """Return (H, W, C): 0..255 as uint8, other values as float32 in [0, 1]."""
    values = values[..., None] if values.ndim == 2 else values
    if values.dtype == np.uint8:
        return np.array(values)
    if values.dtype.kind in "iu":
        low, high = int(values.min()), int(values.max())
        small = values.dtype != np.uint16 and high <= 255
        white = max_value or (255 if small else WHITE)
        if low < 0 or (high > white and max_value in (None, WHITE)):
            raise UserError(f"{path}: holds integers from {low} to {high}; 0 to {WHITE} can be read, so scale it")
        if high > white:
            raise UserError(
                f"{path}: holds integers up to {high}, above {white}, which is white in the training images; train "
                f"with dataset.max_value={white_of(high)}, or scale this image"
            )
        return values.astype(np.uint8) if white == 255 else values.astype(np.float32) / white
    if values.dtype.kind != "f":
        raise UserError(f"{path}: holds {values.dtype}; save it as uint8, uint16 or float32")
    if lost := int((~np.isfinite(values)).sum()):
        raise UserError(f"{path}: {lost} of its {values.size} numbers are NaN or infinite; write 0 in their place")
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= 1):
        raise UserError(f"{path}: holds floats from {low:g} to {high:g}; scale them to lie in 0 to 1")
    return values.astype(np.float32)


def _fit(values: np.ndarray, channels: int | None, path: Path) -> Tensor:
    """Convert (H, W, C) to a tensor (channels, H, W)."""
    image = torch.from_numpy(values).permute(2, 0, 1)
    if channels is None or len(image) == channels:
        return image.contiguous()
    if len(image) == 1 and channels == 3:
        return image.expand(3, -1, -1).contiguous()
    if len(image) == 3 and channels == 1:
        grey = torch.einsum("chw,c->hw", image.float(), torch.tensor([0.299, 0.587, 0.114]))[None]
        return grey.round_().to(torch.uint8) if image.dtype == torch.uint8 else grey
    raise UserError(
        f"{path}: has {len(image)} channels where {channels} are needed; convert it or set dataset.channels"
    )


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
    if path.suffix.lower() == ".npy":
        return int(load_npy(path, max_pixels).max())
    with opened(path, max_pixels) as image:
        found, _ = pages(image, path, max_pixels)
        return max(_highest(image, index) for index in found)


def _highest(image: Image.Image, page: int) -> int:
    image.seek(page)
    return int(np.asarray(image).max())


def white_of(highest: int) -> int:
    """Return white for integers up to `highest`: the largest value of the smallest usual depth that holds them."""
    return next((2**bits - 1 for bits in DEPTHS if highest < 2**bits), highest)


def from_image(
    image: Image.Image,
    channels: int | None = None,
    max_value: int | None = None,
    name: str = "image",
    upright: bool = True,
) -> Tensor:
    """Convert an image in memory, as `read_image` does with a file."""
    path = Path(name)
    _refuse_hidden_bits(image, path)
    unmapped(image)
    turned = turned_by_decoding(image)
    found = _fit(_decode(image, path, channels, max_value), channels, path)
    if turned > 1:
        return found if upright else turn_back(found, turned)
    return turn(found, orientation_of(image)) if upright else found


def from_array(
    values: np.ndarray, channels: int | None = None, max_value: int | None = None, name: str = "image"
) -> Tensor:
    """Convert an array (H, W) or (H, W, C) in memory, as `read_image` does with a file."""
    return _fit(_unit(values, Path(name), max_value), channels, Path(name))
