"""Paths of results: no two images share one."""

from __future__ import annotations

import unicodedata
from collections import Counter
from pathlib import Path

from densepred.errors import UserError


def destinations(files: list[Path], source: Path, output: Path) -> list[Path]:
    """Return the path of each image's results below the output folder, without suffix: all differ.

    An image keeps its extension if another would get the same path: a.jpg beside a.png, or a.jpg beside a.jpg.tif and
    a.png. Paths that differ only in case, or in the form of an accent, count as the same: some disks hold one of them.
    """
    folder = source if source.is_dir() else source.parent
    if source.is_dir() and output.resolve() == source.resolve():
        raise UserError(f"output={output}: is the folder of the images; choose another so that nothing is mixed up")
    names = [file.relative_to(folder) for file in files]
    places = [name.with_suffix("") for name in names]
    while True:
        counts = Counter(map(_folded, places))
        if not (again := [i for i, place in enumerate(places) if counts[_folded(place)] > 1 and place != names[i]]):
            return places
        for index in again:
            places[index] = names[index]


def _folded(path: Path) -> str:
    return unicodedata.normalize("NFC", path.as_posix()).casefold()
