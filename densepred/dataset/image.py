"""Read images and masks of any usual mode, without clipping values or converting ids to grey levels.

Channels of each mode, unless `channels` is given:
1, L, LA -> 1 channel; RGB, P, RGBA, CMYK, YCbCr and the like -> 3 (alpha is dropped); 8 bits stay uint8;
16-bit grey is divided by 65535 and floats must lie in [0, 1], both float32; pages of a TIFF are channels.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from densepred.dataset.image_file import MAX_PIXELS, check_pixels, load_npy, opened, pages
from densepred.types import UserError

_WIDE = ("I;16", "I;16B", "I;16L", "I;16N", "I")
_ORIENTATION = 0x0112


def read_image(
    path: str | Path, channels: int | None = None, max_pixels: int = MAX_PIXELS, upright: bool = True
) -> Tensor:
    """Return an image (C, H, W), uint8, or float32 in [0, 1], turned by its EXIF orientation if `upright`.

    With `channels`, grey and RGB are converted to each other, and alpha is kept if it is the missing channel.
    Raises UserError if the file is damaged, too large or of a mode that would lose values.
    """
    image, orientation = read_stored(path, channels, max_pixels)
    return turn(image, orientation) if upright else image


def read_stored(path: str | Path, channels: int | None = None, max_pixels: int = MAX_PIXELS) -> tuple[Tensor, int]:
    """Return an image as it is stored, (C, H, W), and its EXIF orientation, 1 to 8."""
    path = Path(path)
    if path.suffix.lower() == ".npy":
        return _fit(_unit(np.asarray(load_npy(path, max_pixels)), path), channels, path), 1
    with opened(path, max_pixels) as image:
        _refuse_hidden_bits(image, path)
        count = pages(image, path)
        if count == 1:
            values = _decode(image, path, channels)
        else:
            check_pixels(path, image.height * count, image.width, max_pixels)
            layers = [_page(image, index, path) for index in range(count)]
            if len({layer.shape for layer in layers}) > 1:
                raise UserError(f"{path}: its pages have different sizes; save them as separate images")
            values = np.concatenate(layers, 2)
        # Only now, because Pillow decodes a PNG to look for EXIF
        orientation = image.getexif().get(_ORIENTATION, 1)
    return _fit(values, channels, path), orientation if orientation in range(1, 9) else 1


def turn(image: Tensor, orientation: int) -> Tensor:
    """Turn an image (C, H, W) as viewers show it."""
    image = image.transpose(1, 2) if orientation >= 5 else image
    axes = {2: (2,), 3: (1, 2), 4: (1,), 6: (2,), 7: (1, 2), 8: (1,)}.get(orientation, ())
    return image.flip(axes).contiguous() if axes else image.contiguous()


def read_mask(path: str | Path, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Return the ids (H, W) of a mask as stored, or its colours (H, W, 3). EXIF is ignored.

    Raises UserError for files with lossy compression, transparency or fractions, and for damaged files.
    """
    path = Path(path)
    if path.suffix.lower() == ".npy":
        return _whole(np.asarray(load_npy(path, max_pixels)), path)
    with opened(path, max_pixels) as image:
        if image.format in ("JPEG", "MPO"):
            raise UserError(f"{path}: is a JPEG, and its compression changes labels; save masks as PNG")
        _refuse_hidden_bits(image, path)
        if image.mode in ("LA", "PA", "RGBA"):
            low, _ = image.getchannel("A").getextrema()
            if low != 255:
                raise UserError(f"{path}: the mask is partly transparent; save it without an alpha channel")
            return np.asarray(image)[..., 0] if image.mode != "RGBA" else np.asarray(image)[..., :3]
        if image.mode not in ("1", "L", "P", "RGB", "F", *_WIDE):
            raise UserError(f"{path}: has mode {image.mode}, which masks cannot have; save it as grey or palette PNG")
        values = np.asarray(image)
        return values.astype(np.uint8) if values.dtype == bool else _whole(values, path)


def read_channels(path: Path, max_pixels: int = MAX_PIXELS) -> int:
    """Return the number of channels that `read_image` would give, from the header."""
    if path.suffix.lower() == ".npy":
        shape = load_npy(path, max_pixels).shape
        return shape[2] if len(shape) == 3 else 1
    with opened(path, max_pixels) as image:
        return max(pages(image, path), 1 if image.mode in ("1", "L", "LA", "F", *_WIDE) else 3)


def _page(image: Image.Image, index: int, path: Path) -> np.ndarray:
    image.seek(index)
    _refuse_hidden_bits(image, path)
    layer = _decode(image, path, None)
    if layer.shape[2] != 1:
        raise UserError(f"{path}: page {index + 1} is in colour; pages are channels and must be grey")
    return layer


def _decode(image: Image.Image, path: Path, channels: int | None) -> np.ndarray:
    """Return values (H, W, C): uint8, or float32 in [0, 1]."""
    if image.mode in ("F", *_WIDE):
        return _unit(np.asarray(image), path)
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
    if ";16" in raw and image.mode not in _WIDE:
        raise UserError(f"{path}: has 16 bits per colour, but 8 are read; save it as .npy or as 16-bit grey")
    samples = getattr(image, "tag_v2", {}).get(277, 0)
    if samples > len(image.getbands()):
        raise UserError(f"{path}: has {samples} bands in one page; save them as .npy or as pages")


def _texts(args: object) -> list[str]:
    return [part for part in (args if isinstance(args, tuple) else (args,)) if isinstance(part, str)]


def _unit(values: np.ndarray, path: Path) -> np.ndarray:
    """Return (H, W, C): uint8 unchanged, other types as float32 in [0, 1]."""
    values = values[..., None] if values.ndim == 2 else values
    if values.dtype == np.uint8:
        return np.array(values)
    if values.dtype.kind in "iu":
        low, high = int(values.min()), int(values.max())
        if low < 0 or high > 65535:
            raise UserError(f"{path}: holds integers from {low} to {high}; 0 to 65535 can be read, so scale it")
        return values.astype(np.float32) / 65535
    if values.dtype.kind != "f":
        raise UserError(f"{path}: holds {values.dtype}; save it as uint8, uint16 or float32")
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


def from_image(image: Image.Image, channels: int | None = None, name: str = "image") -> Tensor:
    """Convert an image in memory, as `read_image` does with a file."""
    path = Path(name)
    orientation = image.getexif().get(_ORIENTATION, 1)
    _refuse_hidden_bits(image, path)
    return turn(_fit(_decode(image, path, channels), channels, path), orientation)


def from_array(values: np.ndarray, channels: int | None = None, name: str = "image") -> Tensor:
    """Convert an array (H, W) or (H, W, C) in memory, as `read_image` does with a file."""
    return _fit(_unit(values, Path(name)), channels, Path(name))
