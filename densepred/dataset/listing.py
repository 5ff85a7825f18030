"""The image files of a folder, listed alike by every command."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

from densepred.dataset.image_file import EXTENSIONS
from densepred.errors import Notice, UserError

RECORD = "predict.json"
"""File in a folder of predictions; it names their checkpoint, and keeps them from being read as images."""


def image_files(folder: Path, without: Path | None = None) -> list[Path]:
    """List the images of a folder and its subfolders, linked ones included, in the order of their names.

    Everything with the extension of an image is listed, so that reading can name what is no file. Hidden files are
    left out, and so are folders of predictions, which a notice names, and the folder `without`.
    """
    left_out: list[Path] = []
    found = list(_walk(folder, frozenset(), None if without is None else os.path.realpath(without), left_out))
    if left_out:
        names = ", ".join(map(str, left_out[:3])) + (", ..." if len(left_out) > 3 else "")
        warnings.warn(f"{folder}: left out, because densepred-predict wrote it: {names}", Notice, stacklevel=2)
    return found


def is_predictions(folder: Path) -> bool:
    """Look for the record that densepred-predict leaves in its folder."""
    return record(folder) is not None


def record(folder: Path) -> dict[str, object] | None:
    """Return the record of a folder of predictions, None without one."""
    try:
        found = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and found.get("command") == "densepred-predict" else None


def _walk(folder: Path, seen: frozenset[str], without: str | None, left_out: list[Path]) -> Iterator[Path]:
    real = os.path.realpath(folder)
    if real in seen:
        return
    entries = _entries(folder)
    if seen and (real == without or (any(entry.name == RECORD for entry in entries) and is_predictions(folder))):
        left_out.append(folder)
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        path = folder / entry.name
        if path.suffix.lower() in EXTENSIONS:
            yield path
        elif entry.is_dir():
            yield from _walk(path, seen | {real}, without, left_out)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        raise UserError(f"{folder}: cannot be listed: {error.strerror}; check its permissions") from error
