"""An image as programs give it: a path, a PIL image, an array or a tensor."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from densepred.dataset.image import Stored, from_array, from_image, read_as_trained
from densepred.dataset.image_file import MAX_PIXELS
from densepred.dataset.intensity import white_in
from densepred.errors import Notice, UserError
from densepred.home import expand
from densepred.types import WHITE, Info

BYTE = 255
Picture = str | Path | Image.Image | np.ndarray | Tensor


def stored(image: Picture, info: Info, max_pixels: int = MAX_PIXELS) -> Stored:
    """Read an image with the channels of `info`; that of a file as in training, with the pixels that have no data.

    Raises UserError if it cannot be read, or is none or several.
    """
    if isinstance(image, str | Path):
        return read_as_trained(expand(image), info, max_pixels)
    white = white_in(info)
    if isinstance(image, Image.Image):
        return Stored(from_image(image, info.reads, white, upright=info.exif != "stored"))
    if isinstance(image, list | tuple) or (isinstance(image, np.ndarray | Tensor) and image.ndim == 4):
        raise UserError("image: several images; call model.batch(images), which returns one annotation per image")
    if not isinstance(image, np.ndarray | Tensor) or image.ndim not in (2, 3):
        kind = " ".join(str(part) for part in (type(image).__name__, getattr(image, "shape", "")) if part != "")
        raise UserError(f"image: {kind}; give a path or one image")
    if 0 in image.shape:
        raise UserError(f"image: has the shape {tuple(image.shape)}, without a pixel; give one with pixels")
    if isinstance(image, Tensor):
        image = image.movedim(0, -1).cpu().numpy() if image.ndim == 3 else image.cpu().numpy()
    if white is None and image.dtype == np.uint16 and 0 < (high := int(image.max())) <= BYTE:
        text = f"image: uint16 of at most {high}, where white is {WHITE}: nearly black; give bytes as uint8"
        warnings.warn(text, Notice, stacklevel=2)
    return Stored(from_array(image, info.channels, white))
