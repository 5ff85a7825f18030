"""Read images and masks of any usual mode without ever clipping a value or turning an id into a grey.

What each mode becomes, where `channels` asks for nothing else:
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
    """An image (C, H, W), uint8, or float32 in [0, 1]; turned as its EXIF orientation says if `upright`.

    With `channels`, grey and RGB are converted to one another and alpha is kept if it makes up the number.
    """
    image, orientation = read_stored(path, channels, max_pixels)
    return turn(image, orientation) if upright else image


def read_stored(path: str | Path, channels: int | None = None, max_pixels: int = MAX_PIXELS) -> tuple[Tensor, int]:
    """An image as it is stored, and its EXIF orientation, 1 to 8."""
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
        # After decoding, for Pillow decodes a PNG to look for EXIF
        orientation = image.getexif().get(_ORIENTATION, 1)
    return _fit(values, channels, path), orientation if orientation in range(1, 9) else 1


def turn(image: Tensor, orientation: int) -> Tensor:
    """An image (C, H, W) as viewers show it."""
    image = image.transpose(1, 2) if orientation >= 5 else image
    axes = {2: (2,), 3: (1, 2), 4: (1,), 6: (2,), 7: (1, 2), 8: (1,)}.get(orientation, ())
    return image.flip(axes).contiguous() if axes else image.contiguous()


def read_mask(path: str | Path, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """The ids (H, W) of a mask as stored, or its colours (H, W, 3). EXIF is ignored. Lossy files are refused."""
    path = Path(path)
    if path.suffix.lower() == ".npy":
        return _whole(np.asarray(load_npy(path, max_pixels)), path)
    with opened(path, max_pixels) as image:
        if image.format in ("JPEG", "MPO"):
            raise UserError(f"{path}: is a JPEG, whose compression changes labels; save masks as PNG")
        _refuse_hidden_bits(image, path)
        if image.mode in ("LA", "PA", "RGBA"):
            low, _ = image.getchannel("A").getextrema()
            if low != 255:
                raise UserError(f"{path}: the mask is partly transparent; save it without an alpha channel")
            return np.asarray(image)[..., 0] if image.mode != "RGBA" else np.asarray(image)[..., :3]
        if image.mode not in ("1", "L", "P", "RGB", "F", *_WIDE):
            raise UserError(f"{path}: masks of mode {image.mode} are not understood; save it as grey or palette PNG")
        values = np.asarray(image)
        return values.astype(np.uint8) if values.dtype == bool else _whole(values, path)


def read_channels(path: Path, max_pixels: int = MAX_PIXELS) -> int:
    """How many channels `read_image` would give, from the header."""
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
    """Values (H, W, C): uint8, or float32 in [0, 1]."""
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
    """Pillow reads 16-bit colour as 8-bit, and drops surplus bands of a TIFF, without a word.

    To be asked before decoding, which makes Pillow forget how the pixels were stored.
    """
    raw = next((part for tile in getattr(image, "tile", ()) for part in _texts(tile[3])), "")
    if ";16" in raw and image.mode not in _WIDE:
        raise UserError(f"{path}: has 16 bits a colour, of which only 8 can be read; save it as .npy or as 16-bit grey")
    samples = getattr(image, "tag_v2", {}).get(277, 0)
    if samples > len(image.getbands()):
        raise UserError(f"{path}: has {samples} bands in one page; save them as .npy or as pages")


def _texts(args: object) -> list[str]:
    return [part for part in (args if isinstance(args, tuple) else (args,)) if isinstance(part, str)]


def _unit(values: np.ndarray, path: Path) -> np.ndarray:
    """(H, W, C): uint8 as it is, other types as float32 in [0, 1]."""
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
    """(H, W, C) to a tensor (channels, H, W)."""
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
    """Ids as integers; floats that are whole numbers count as such."""
    if values.dtype.kind == "f":
        if not np.isfinite(values).all() or (values != np.round(values)).any():
            raise UserError(f"{path}: the mask holds fractions; save class ids as whole numbers")
        values = values.astype(np.int64)
    if values.dtype.kind not in "iub" or not (values.ndim == 2 or values.shape[2] == 3):
        raise UserError(f"{path}: the mask is {values.dtype} of shape {values.shape}; save ids as (height, width)")
    return np.array(values)


def from_image(image: Image.Image, channels: int | None = None, name: str = "image") -> Tensor:
    """An image in memory as `read_image` would give it from a file."""
    path = Path(name)
    orientation = image.getexif().get(_ORIENTATION, 1)
    _refuse_hidden_bits(image, path)
    return turn(_fit(_decode(image, path, channels), channels, path), orientation)


def from_array(values: np.ndarray, channels: int | None = None, name: str = "image") -> Tensor:
    """An array (H, W) or (H, W, C) in memory as `read_image` would give it from a file."""
    return _fit(_unit(values, Path(name)), channels, Path(name))
