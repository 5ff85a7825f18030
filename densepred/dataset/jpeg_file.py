"""Decode JPEG files by simplejpeg where it is installed: the same bytes as by Pillow, in less time."""

from __future__ import annotations

import contextlib
import importlib.util
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = {"L": "GRAY", "RGB": "RGB"}
"""simplejpeg's names of the modes in which both decode to the same bytes."""


@cache
def is_installed() -> bool:
    return importlib.util.find_spec("simplejpeg") is not None


def decoded(image: Image.Image, path: Path) -> np.ndarray | None:
    """Return the pixels of an open JPEG, (H, W, 1 or 3) uint8; None for other files, and those with a defect.

    Pillow has read the header, so the size is known and was checked. Both call libjpeg-turbo (libjpeg-turbo.org), with
    its slow, exact transform and smooth chroma. A file with any defect is left to Pillow.
    """
    if image.format != "JPEG" or image.mode not in COLOURS or not is_installed():
        return None
    import simplejpeg

    with contextlib.suppress(ValueError):
        return simplejpeg.decode_jpeg(path.read_bytes(), COLOURS[image.mode], fastdct=False, fastupsample=False)
    return None
