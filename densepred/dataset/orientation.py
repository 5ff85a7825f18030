"""Orientation of labels: does a map fit the stored pixels of its image, or the image as viewers turn it by EXIF?"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from densepred.dataset.image_header import SAMPLED, read_header
from densepred.errors import Notice
from densepred.types import UserError

TURNED = range(5, 9)
"""EXIF orientations that exchange height and width, and so show in sizes."""

Labelled = tuple[Path, Path | tuple[int, int] | None]
"""An image, and its mask or the size of its labels."""


def measure(exif: str, images: Sequence[Labelled], max_pixels: int) -> str:
    """Return `exif`; "auto" becomes the orientation that a sample of turned images agree on, if there are any.

    What is stored in the checkpoint this way is needed where no labels tell: in prediction.
    """
    if exif != "auto":
        return exif
    sample = images[:: max(1, len(images) // SAMPLED)]
    found = Counter(fit for image, labels in sample if (fit := _fit(image, labels, max_pixels)) is not None)
    if len(found) > 1:
        counts = " and ".join(f"{count} {how}" for how, count in sorted(found.items()))
        text = f"labels of turned images (EXIF) fit {counts}, in a sample of {len(sample)}; predictions will be upright"
        warnings.warn(f"dataset.exif: {text}", Notice, stacklevel=2)
    return next(iter(found)) if len(found) == 1 else exif


def _fit(image: Path, labels: Path | tuple[int, int] | None, max_pixels: int) -> str | None:
    """Return "stored" or "upright"; None if the image is not turned, or cannot be read, which reading will tell."""
    if labels is None:
        return None
    try:
        header = read_header(image, max_pixels)
        if header.orientation not in TURNED:
            return None
        size = read_header(labels, max_pixels).size if isinstance(labels, Path) else labels
    except UserError:
        return None
    if header.size == size[::-1]:
        return "upright" if header.size != size else None
    return "stored" if header.size == size else None
