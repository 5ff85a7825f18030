"""Where the files of a dataset lie: patterns with {split}, and names out of files that anybody may have written."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath

from densepred.types import UserError

Patterns = str | Sequence[str]
"""A path within the root in which {split} stands for the split's name; of several the first that exists."""

Splits = Mapping[str, Patterns]


def places(splits: Splits, split: str) -> list[str]:
    """The names that a split may have in paths."""
    if split not in splits:
        raise UserError(f"dataset.split: {split!r} is not in dataset.splits ({', '.join(splits)})")
    return _listed(splits[split])


def find(root: str, patterns: Patterns, names: Sequence[str], key: str) -> tuple[Path, str]:
    """The first path that exists, and the split's name in it."""
    folder = Path(root).expanduser()
    if not folder.is_dir():
        raise UserError(f"dataset.root: {root} is no folder (from {Path.cwd()}); give the folder of the dataset")
    tried = [(folder / pattern.replace("{split}", name), name) for name in names for pattern in _listed(patterns)]
    if not tried:
        raise UserError(f"dataset.{key}: names nothing; give a path within dataset.root")
    for path, name in tried:
        if path.exists():
            return path, name
    others = f" (nor is there {', '.join(str(path) for path, _ in tried[1:])})" if len(tried) > 1 else ""
    raise UserError(f"{tried[0][0]}: is missing{others}; check dataset.root, dataset.{key} and dataset.splits")


def inside(folder: Path, name: object, where: str) -> Path:
    """The file that `name` says, which may lie nowhere but in the folder. Links within it are the owner's own."""
    if not isinstance(name, str) or not name:
        raise UserError(f"{where}: its file_name is {shown(name)}; give a path within {folder}")
    posix, windows = PurePosixPath(name), PureWindowsPath(name)
    escapes = posix.is_absolute() or windows.anchor or ".." in posix.parts or ".." in windows.parts
    if escapes or "\0" in name or not _encodable(name):
        raise UserError(f"{where}: its file_name {shown(name)} leads out of {folder}; give a path within it")
    return folder / name


def shown(value: object) -> str:
    """A value as an error may show it: short, in one line, whatever it is."""
    try:
        text = ascii(value)
    except (ValueError, RecursionError):  # a number of thousands of digits; a value nested too deep
        text = f"a {type(value).__name__} too large to show"
    return text if len(text) <= 60 else f"{text[:57]}..."


def _encodable(name: str) -> bool:
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return False
    return True


def _listed(patterns: Patterns) -> list[str]:
    return [patterns] if isinstance(patterns, str) else [str(pattern) for pattern in patterns]
