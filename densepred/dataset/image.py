"""Read images of any usual mode, without clipping values.

Channels of each mode, unless `channels` is given:
1, L, LA -> 1 channel; RGB, P, RGBA, CMYK, YCbCr and the like -> 3 (alpha is dropped); 8 bits stay uint8;
integers of more bits are divided by `max_value` and floats must lie in [0, 1], both float32; pages of a TIFF are
channels. So an image of uint8 is one of 0..255, any other one of 0..1: `intensity` decides its scale, once.
Pillow decodes all that it reads as it is, or simplejpeg to the same bytes; `raster` has the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from densepred.dataset import image_layout, jpeg_file, nodata
from densepred.dataset.image_file import MAX_PIXELS, WIDE, hidden_slices, hidden_values, opened, pages, unmapped
from densepred.dataset.intensity import Channels, White, fit, pick, unit, white_in
from densepred.dataset.raster import open_raster
from densepred.types import VOID, Annotation, Info, UserError

_ORIENTATION, _PHOTOMETRIC, _SAMPLE_FORMAT, _DESCRIPTION, _DEPTH = 0x0112, 262, 339, 270, 32997
_SIGNED = 2  # value of SampleFormat


def read_image(
    path: str | Path,
    channels: Channels = None,
    max_pixels: int = MAX_PIXELS,
    upright: bool = True,
    max_value: White = None,
) -> Tensor:
    """Return an image (C, H, W), uint8, or float32 in [0, 1], turned by its EXIF orientation if `upright`.

    With a number of `channels`, grey and RGB are converted to each other, and alpha is kept if it is the missing one.
    A list of `channels` picks bands of the file, counted from 1, alpha among them.
    `max_value` is white in integers of more than 8 bits; None means 65535 in uint16, and in other types 255, or 65535
    if a value is larger. A window (center, width) in its place maps values of all types but bytes.
    Raises UserError if the file is damaged, too large or of a mode that would lose values.
    """
    stored = read_stored(path, channels, max_pixels, max_value)
    return stored.upright().image if upright else stored.image


class Stored(NamedTuple):
    """An image (C, H, W) as it is stored, its EXIF orientation, 1 to 8, and where it has no data, (H, W) bool."""

    image: Tensor
    orientation: int = 1
    void: Tensor | None = None

    def upright(self) -> Stored:
        """Return the image as viewers show it."""
        void = None if self.void is None else turn(self.void[None], self.orientation)[0]
        return Stored(turn(self.image, self.orientation), 1, void)

    def hide(self, found: Annotation) -> Annotation:
        """Set the class map of a prediction to void where the image has no data, in place; return the prediction."""
        if self.void is not None and found.semantic is not None:
            found.semantic = found.semantic.masked_fill(self.void.to(found.semantic.device), VOID)
        return found


def read_stored(
    path: str | Path, channels: Channels = None, max_pixels: int = MAX_PIXELS, max_value: White = None
) -> Stored:
    """Read an image as it is stored; pixels without data (GDAL's nodata) are black."""
    path = Path(path)
    if (raster := open_raster(path, max_pixels)) is not None:
        stored = from_stored(raster.read(channels), path, channels, max_value, raster.nodata, raster.inverted)
        return stored._replace(orientation=raster.orientation)
    with opened(path, max_pixels) as image:
        found, _ = pages(image, path, max_pixels)
        refuse_hidden_bits(image, path)
        turned = turned_by_decoding(image)
        empty = nodata.declared(path) if image.format == "TIFF" else None
        void = None
        if len(found) == 1:
            exact = jpeg_file.decoded(image, path)
            values = _decode(image, path, channels, max_value, empty) if exact is None else exact
            void = _missing(image, empty)
        else:
            layers, holes = zip(*[_page(image, index, path, max_value, empty) for index in found], strict=True)
            if len({layer.shape for layer in layers}) > 1:
                raise UserError(f"{path}: its pages have different sizes; save them as separate images")
            values = np.concatenate(layers, 2)
            void = _everywhere(holes)
        if void is not None:
            values = np.where(void.numpy()[..., None], np.zeros(1, values.dtype), values)
        # Only now, because Pillow decodes a PNG to look for EXIF
        orientation = orientation_of(image)
    stored = _chosen(values, channels, path)
    if turned > 1:
        return Stored(turn_back(stored, turned), turned, None if void is None else turn_back(void[None], turned)[0])
    return Stored(stored, orientation, void)


def read_as_trained(path: Path, info: Info, max_pixels: int = MAX_PIXELS) -> Stored:
    """Read an image as those of the training that `info` describes: its channels, its white, its orientation."""
    stored = read_stored(path, info.reads, max_pixels, white_in(info))
    return stored if info.exif == "stored" else stored.upright()


def from_stored(
    values: np.ndarray,
    path: Path,
    channels: Channels,
    max_value: White,
    empty: float | None,
    negative: bool = False,
) -> Stored:
    """Convert the numbers (H, W, C) of the picked bands of a file; `empty` marks pixels without data."""
    void = None if empty is None else torch.from_numpy(nodata.missing(values, empty))
    values = _scaled(values, path, max_value, empty, negative)
    return Stored(fit(values, None if isinstance(channels, Sequence) else channels, path), 1, void)


def _scaled(values: np.ndarray, path: Path, max_value: White, empty: float | None, negative: bool) -> np.ndarray:
    """Return numbers as uint8, or float32 in [0, 1]; those that equal `empty` are black, whatever 0 becomes."""
    scaled = unit(nodata.cleared(values, empty), path, max_value)
    scaled = _negative(scaled) if negative else scaled
    if empty is not None:
        scaled[nodata.absent(values, empty)] = 0
    return scaled


def _missing(image: Image.Image, empty: float | None) -> Tensor | None:
    """Return where an image that Pillow has decoded holds no data, in the colours or numbers of the file."""
    if empty is None or image.mode not in ("L", "LA", "RGB", "RGBA", "F", *WIDE):
        return None
    values = np.asarray(image)
    bands = 1 if values.ndim == 2 else values.shape[2] - (image.mode in ("LA", "RGBA"))
    return torch.from_numpy(nodata.missing(values if values.ndim == 2 else values[..., :bands], empty))


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


def inverted(image: Image.Image) -> bool:
    """Return True for a TIFF in which 0 is white."""
    return image.format == "TIFF" and getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == 0


def _everywhere(holes: Sequence[Tensor | None]) -> Tensor | None:
    """Return where no page of an image holds data, (H, W) bool; None if a page has no such pixels by its type."""
    known = [hole for hole in holes if hole is not None]
    return torch.stack(known).all(0) if len(known) == len(holes) else None


def _page(
    image: Image.Image, index: int, path: Path, max_value: White, empty: float | None
) -> tuple[np.ndarray, Tensor | None]:
    """Return the values (H, W, 1) of a page, and where it holds no data."""
    image.seek(index)
    refuse_hidden_bits(image, path)
    layer = _decode(image, path, None, max_value, empty)
    if layer.shape[2] != 1:
        raise UserError(f"{path}: page {index + 1} is in colour, and pages are channels; save each in grey")
    return layer, _missing(image, empty)


def _decode(
    image: Image.Image, path: Path, channels: Channels, max_value: White = None, empty: float | None = None
) -> np.ndarray:
    """Return values (H, W, C): uint8, or float32 in [0, 1]; 0 is black, and so are numbers that equal `empty`."""
    if image.mode in ("F", *WIDE):
        # Pillow inverts 8 bits and fewer, no others
        return _scaled(np.asarray(image), path, max_value, empty, inverted(image))
    values = np.array(of_bytes(image, channels))
    return values[..., None] if values.ndim == 2 else values


def of_bytes(image: Image.Image, channels: Channels) -> Image.Image:
    """Convert an image of 8 bits or fewer to the mode of its channels: grey, RGB, or either with alpha."""
    every = isinstance(channels, Sequence)
    if (channels == 4 or every) and (image.mode == "RGBA" or "transparency" in image.info):
        return image.convert("RGBA")
    if image.mode in ("1", "LA") and not (image.mode == "LA" and (channels == 2 or every)):
        return image.convert("L")
    return image if image.mode in ("L", "LA", "RGB") else image.convert("RGB")


def _negative(values: np.ndarray) -> np.ndarray:
    return (255 if values.dtype == np.uint8 else 1) - values


def refuse_hidden_bits(image: Image.Image, path: Path) -> None:
    """Raise UserError for values that Pillow would drop or change in silence, see `hidden_values`."""
    if lost := hidden_values(image):
        raise UserError(f"{path}: {lost}")
    tags = getattr(image, "tag_v2", {})
    noted = _DESCRIPTION in tags or _DEPTH in tags
    if noted and (lost := hidden_slices(tags.get(_DESCRIPTION), tags.get(_DEPTH, 1), getattr(image, "n_frames", 1))):
        raise UserError(f"{path}: {lost}")
    if _SIGNED in np.ravel(tags.get(_SAMPLE_FORMAT, 1)) and image.mode not in ("F", *WIDE):
        raise UserError(f"{path}: holds signed integers of 8 bits, which are read as unsigned; save it with 16 bits")


def highest(path: Path, max_pixels: int = MAX_PIXELS) -> int:
    """Return the largest stored value of an image of integers."""
    if (raster := open_raster(path, max_pixels)) is not None:
        return int(nodata.cleared(raster.values(), raster.nodata).max())
    with opened(path, max_pixels) as image:
        found, _ = pages(image, path, max_pixels)
        empty = nodata.declared(path) if image.format == "TIFF" else None
        return max(_highest(image, index, empty) for index in found)


def _highest(image: Image.Image, page: int, empty: float | None) -> int:
    image.seek(page)
    return int(nodata.cleared(np.asarray(image), empty).max())


def from_image(
    image: Image.Image,
    channels: Channels = None,
    max_value: White = None,
    name: str = "image",
    upright: bool = True,
) -> Tensor:
    """Convert an image in memory, as `read_image` does with a file."""
    path = Path(name)
    refuse_hidden_bits(image, path)
    unmapped(image)
    turned = turned_by_decoding(image)
    found = _chosen(_decode(image, path, channels, max_value), channels, path)
    if turned > 1:
        return found if upright else turn_back(found, turned)
    return turn(found, orientation_of(image)) if upright else found


def from_array(values: np.ndarray, channels: Channels = None, max_value: White = None, name: str = "image") -> Tensor:
    """Convert an array (H, W) or (H, W, C) in memory, as `read_image` does with a file."""
    return _chosen(unit(values, Path(name), max_value), channels, Path(name))


def _chosen(values: np.ndarray, channels: Channels, path: Path) -> Tensor:
    """Convert (H, W, C) to a tensor of this number of channels, or of these bands."""
    if isinstance(channels, Sequence):
        return fit(pick(values, channels, path), None, path)
    return fit(values, channels, path)
