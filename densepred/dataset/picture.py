"""An image as programs give it: a path, a PIL image, an array or a tensor."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from densepred.dataset.image import Stored, from_array, from_image, read_as_trained
from densepred.dataset.image_file import MAX_PIXELS
from densepred.dataset.intensity import white_in
from densepred.errors import UserError
from densepred.home import expand
from densepred.types import Info

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
        raise UserError(f"image: {type(image).__name__} {getattr(image, 'shape', '')}; give a path or one image")
    if isinstance(image, Tensor):
        image = image.movedim(0, -1).cpu().numpy() if image.ndim == 3 else image.cpu().numpy()
    return Stored(from_array(image, info.channels, white))
