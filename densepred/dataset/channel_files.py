"""Images of several files, one per channel: nnU-Net's `case_0000.png`, `case_0001.png`.

A file `dataset.json` of nnU-Net counts the channels. Source: https://github.com/MIC-DKFZ/nnUNet (dataset_format.md)
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from densepred.errors import UserError

NUMBERED = re.compile(r"(.+)_(\d{4})", re.ASCII)
LISTS = ("channel_names", "modality")
"""Keys of the channels in dataset.json, of versions 2 and 1."""
LARGEST = 1 << 26
"""Bytes of a dataset.json that are read; version 1 lists all files."""


def of(path: Path) -> list[Path]:
    """Return the files of the channels of the case that a file begins; none for an image of one file.

    Raises UserError if some of them are missing.
    """
    found = NUMBERED.fullmatch(path.stem)
    if found is None or int(found[2]) or (count := _count(path.parent)) < 2:
        return []
    files = [path.with_name(f"{found[1]}_{number:04}{path.suffix}") for number in range(count)]
    missing = [file.name for file in files[1:] if not file.is_file()]
    if len(missing) == count - 1:  # all channels are in the first file
        return []
    if missing:
        raise UserError(f"{path}: dataset.json lists {count} channels, and {missing[0]} is missing; add it")
    return files


def later(files: Iterable[Path]) -> dict[Path, Path]:
    """Return the files that hold a further channel of a case, and the first file of that case."""
    out = {}
    for file in files:
        found = NUMBERED.fullmatch(file.stem)
        if found is None or not 0 < int(found[2]) < _count(file.parent):
            continue
        first = file.with_name(f"{found[1]}_0000{file.suffix}")
        if first.is_file():
            out[file] = first
    return out


def _count(folder: Path) -> int:
    """Return the number of channels that dataset.json lists in a folder, or above one of images; 0 without it."""
    above = [folder.parent / "dataset.json"] if folder.name.startswith("images") else []
    for path in (folder / "dataset.json", *above):
        try:
            stat = path.stat()
        except OSError:
            continue
        return _listed(path, stat.st_mtime_ns) if stat.st_size <= LARGEST else 0
    return 0


@lru_cache(maxsize=64)
def _listed(path: Path, changed: int) -> int:
    """Return the number of channels in a file as it was at a time, in nanoseconds; 0 if it is not nnU-Net's."""
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return 0
    lists = [data.get(key) for key in LISTS] if isinstance(data, dict) else []
    return max((len(one) for one in lists if isinstance(one, dict)), default=0)
