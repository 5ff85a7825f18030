"""Spacing and place of images of DICOM in millimetres, for predictions of PNG, which hold none of it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

from densepred import atomic
from densepred.dataset import dicom_file
from densepred.errors import Notice, UserError

FILE = "spacing.json"
SIZES = ("pixel_spacing_mm", "imager_pixel_spacing_mm")


def write(files: Sequence[Path], places: Sequence[Path], folder: Path) -> list[str]:
    """Write the spacing of the images of DICOM among the files; return the name of the file, or nothing without any.

    A notice counts images of which no spacing of pixels is known.
    """
    found = dict[str, dict[str, list[float]]]()
    for file, place in zip(files, places, strict=True):
        if file.suffix.lower() in dicom_file.SUFFIXES:
            try:
                found[place.as_posix()] = dicom_file.geometry(file)
            except UserError:  # an error line has named the file
                continue
    if not found:
        return []
    if unknown := sum(not one.keys() & {*SIZES} for one in found.values()):
        text = f"{unknown} of {len(found)} images of DICOM tell no spacing of their pixels; {FILE} has the others"
        warnings.warn(f"{folder / FILE}: {text}", Notice, stacklevel=2)
    atomic.write_json(folder / FILE, found)
    return [FILE]
