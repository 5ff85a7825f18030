"""PNG files inside annotation files: the mask of one object, as labelme and Supervisely write it."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image


def decode(packed: bytes, size: tuple[int, int]) -> np.ndarray:
    """Return the pixels (h, w) bool that are set: alpha above 0 where there is one, else values above 0.

    size: height and width of the image, which the mask may not exceed. Raises what Pillow raises, and ValueError.
    """
    with Image.open(io.BytesIO(packed), formats=("PNG",)) as image:
        if image.width > size[1] or image.height > size[0] or image.mode == "RGB":
            raise ValueError(f"a PNG of {image.width} x {image.height}, mode {image.mode}")
        transparent = "A" in image.mode or "transparency" in image.info
        return np.asarray(image.convert("RGBA").getchannel("A") if transparent else image) > 0
