"""The image that an annotation file names, or that has the name of the annotation file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from densepred.dataset.file_names import normal
from densepred.dataset.image_file import EXTENSIONS
from densepred.dataset.records import Records
from densepred.errors import UserError, shown

BY_OWN_NAME = "images found by the name of the annotation file, which gives none that is there"


def beside(path: Path, name: object, root: Path) -> Path:
    """Return the image that an annotation file names; see `found_beside`. Raises UserError if there is none."""
    file = found_beside(path, name, root)
    if file is None:
        raise UserError(f"{path}: its image {shown(name)} is missing; put it beside the file, or correct the name")
    return file


def found_beside(path: Path, name: object, root: Path, folders: Sequence[Path] = ()) -> Path | None:
    """Return the image that an annotation file names: relative to the file, or by its name in one of the folders.

    None if there is none within `root`. Raises UserError for what is no name of a file.
    """
    if not isinstance(name, str) or not name or "\0" in name:
        raise UserError(f"{path}: names the image {shown(name)}; give a file name")
    plain = PurePosixPath(normal(name))
    tried = [
        path.parent / plain,
        *(folder / place for folder in (*folders, path.parent) for place in (plain, plain.name)),
    ]
    for file in (Path(os.path.normpath(one)) for one in tried):
        if file.is_relative_to(root) and os.path.isfile(file):  # False, unlike Path, for names that are too long
            return file
    return None


def with_own_name(path: Path, suffix: str, root: Path, folders: Sequence[Path] = ()) -> str | None:
    """Return the name of the image that is called as its annotation file; None without one, or with several.

    suffix: an extension that goes before others
    """
    ends = [suffix] if suffix.lower() in EXTENSIONS else []
    for some in (ends, [spelt(end) for spelt in (str.title, str.upper, str.lower) for end in sorted(EXTENSIONS)]):
        names = (f"{path.stem}{end}" for end in some)
        there = [file for name in names if (file := found_beside(path, name, root, folders)) is not None]
        found = {os.stat(file)[1:3]: file.name for file in there}  # .jpg is .JPG where systems do not tell them apart
        if found:
            return next(iter(found.values())) if len(found) == 1 else None
    return None


def choose(
    records: Records, path: Path, given: object, folders: Sequence[Path] = (), *, other: str, own_first: bool = False
) -> object:
    """Return the name of the image of an annotation file: `given` there, or else the one with the file's own name.

    Images get renamed with their files, and the names in these stay. `records` count what is not plain.

    other: what is counted if the file gives the name of another image
    own_first: the image with the own name goes before another one that is there
    """
    named = PurePosixPath(normal(given)) if isinstance(given, str) else PurePosixPath()
    there = bool(named.name) and found_beside(path, given, records.folder, folders) is not None
    if there and named.stem == path.stem:
        return given
    own = with_own_name(path, named.suffix, records.folder, folders)
    if own is None:
        return given
    if there and not own_first:
        records.told[other] += 1
        return given
    records.told[other if own_first and named.stem not in ("", path.stem) else BY_OWN_NAME] += 1
    return own
