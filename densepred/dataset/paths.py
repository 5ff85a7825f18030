"""Paths of a dataset's files: patterns with {split}, and file names from a file of unknown origin."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TypeVar

from densepred.errors import UserError, shown

T = TypeVar("T")
Patterns = str | Sequence[str]
"""Path within the root in which {split} stands for the split's name. Of several, the first that exists counts."""

Splits = Mapping[str, Patterns]


def of_split(splits: Mapping[str, T], split: str) -> T:
    """Return the entry of `splits`, or raise UserError if there is none."""
    if split not in splits:
        raise UserError(f"dataset.split: {split!r} is not in dataset.splits; choose one of {', '.join(splits)}")
    return splits[split]


def split_names(splits: Splits, split: str) -> list[str]:
    """Return the names that stand for {split} in paths, the first choice first."""
    return _as_list(of_split(splits, split))


def dataset_root(root: str) -> Path:
    """Return the folder of the dataset, or raise UserError if there is none."""
    folder = Path(root).expanduser()
    if not folder.is_dir():
        raise UserError(f"dataset.root: {root} is no folder (from {Path.cwd()}); give the folder of the dataset")
    return folder


def find(root: str, patterns: Patterns, names: Sequence[str], key: str) -> tuple[Path, str]:
    """Return the first path that exists, and the split's name in it. `key` is the setting that messages name."""
    folder = dataset_root(root)
    tried = [(folder / pattern.replace("{split}", name), name) for name in names for pattern in _as_list(patterns)]
    if not tried:
        raise UserError(f"dataset.{key}: is empty; give a path within dataset.root")
    for path, name in tried:
        if path.exists():
            return path, name
    others = f" (nor is there {', '.join(str(path) for path, _ in tried[1:])})" if len(tried) > 1 else ""
    raise UserError(f"{tried[0][0]}: is missing{others}; check dataset.root, dataset.{key} and dataset.splits")


def inside(folder: Path, name: object, where: str) -> Path:
    """Return `folder / name`, or raise UserError if that leads out of the folder. Links within it are followed."""
    if not isinstance(name, str) or not name:
        raise UserError(f"{where}: its file_name is {shown(name)}; give a path within {folder}")
    posix, windows = PurePosixPath(name), PureWindowsPath(name)
    escapes = posix.is_absolute() or windows.anchor or ".." in posix.parts or ".." in windows.parts
    if escapes or "\0" in name or not _encodable(name):
        raise UserError(f"{where}: its file_name {shown(name)} leads out of {folder}; give a path within it")
    return folder / name


def _encodable(name: str) -> bool:
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return False
    return True


def _as_list(patterns: Patterns) -> list[str]:
    return [patterns] if isinstance(patterns, str) else [str(pattern) for pattern in patterns]
