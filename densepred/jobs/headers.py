"""Look, before training, at the headers of image files, and give one line on those that cannot be read or do not fit.

The cheap part of `densepred-check`: nothing is decoded.
"""

from __future__ import annotations

import math
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from densepred.contracts import Dataset
from densepred.dataset.image_header import Header, read_header
from densepred.dataset.paired_folder import PairedFolder
from densepred.errors import Notice, UserError

MOST = 2000
"""Files of a split that are looked at, evenly spread: about a second."""
WORDS = {
    "damaged": "cannot be read, or are above data.max_pixels",
    "unequal": "have masks of another size",
    "turned": "are turned by EXIF, and their masks fit both orientations",
}


def warn_of_files(splits: Mapping[str, Dataset], max_pixels: int) -> None:
    """Issue one notice about the files of all splits, if there is something to tell."""
    told = [f"{split}: {text}" for split, data in splits.items() for text in faults(data, max_pixels)]
    if told:
        warnings.warn(
            f"dataset: {'; '.join(told)}; densepred-check dataset=... lists these files with remedies "
            "(data.check=false starts without this look)",
            Notice,
            stacklevel=2,
        )


def faults(data: Dataset, max_pixels: int) -> Iterator[str]:
    """Yield a phrase per kind of fault in a split, with the number of files and the first one."""
    files = _files(data)
    step = math.ceil(len(files) / MOST) or 1
    found: dict[str, list[Path]] = defaultdict(list)
    for image, mask in files[::step]:
        if (kind := _fault(image, mask, max_pixels, data)) is not None:
            found[kind].append(image)
    seen = "" if step == 1 else f" that were looked at, of {len(files)},"
    for kind, images in found.items():
        yield f"{len(images)} of {len(files[::step])} images{seen} {WORDS[kind]} ({images[0]})"


def _files(data: Dataset) -> list[tuple[Path, Path | None]]:
    if isinstance(data, PairedFolder):
        return [(pair.image, pair.mask) for pair in data.pairs]
    return [(path, None) for path in data.files() or ()]


def _fault(image: Path, mask: Path | None, max_pixels: int, data: Dataset) -> str | None:
    """Return the kind of fault of an image and its mask; None if their headers show none."""
    try:
        header = read_header(image, max_pixels)
        labels = None if mask is None else read_header(mask, max_pixels)
    except UserError:
        return "damaged"
    return None if labels is None else _misfit(header, labels, getattr(data, "exif", "auto"))


def _misfit(image: Header, labels: Header, exif: str) -> str | None:
    upright = image.size[::-1] if image.orientation > 4 else image.size
    fits = {"stored": image.size == labels.size, "upright": upright == labels.size}
    if not any(fits.values()):
        return "unequal"
    return "turned" if exif == "auto" and image.orientation > 1 and all(fits.values()) else None
