"""Lists of names of images: a line per name, as in VOC's ImageSets, or nnU-Net's splits_final.json."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TypeVar

from densepred.dataset import paths
from densepred.dataset.coco import read_json
from densepred.dataset.facts import counted
from densepred.dataset.file_names import normal
from densepred.dataset.image_file import EXTENSIONS
from densepred.errors import Misfit, Notice, UserError, shown

T = TypeVar("T")
FOLDS = ".json"
"""Extension of a list of folds."""


def is_names(path: Path) -> bool:
    """Recognise a list of names by its extension, and in text by a first line that is one word without a comma."""
    if path.suffix.lower() == FOLDS:
        return True
    lines = _lines(path) if path.suffix.lower() == ".txt" and path.is_file() else []
    return bool(lines) and len(lines[0].replace(",", " ").replace(";", " ").split()) == 1


def own_folds(name: str | None, folds: int | None) -> bool:
    """Return True if a list has folds of its own, of which `dataset.fold` chooses; raise UserError with `folds`."""
    own = name is not None and name.lower().endswith(FOLDS)
    if own and folds is not None:
        raise UserError(f"dataset.folds: {folds}, but {name} has folds of its own; leave it out, dataset.fold chooses")
    return own


def read(path: Path, split: str, fold: int | None) -> list[str]:
    """Return the names of a split, without extensions; of `fold` in a list of folds, which has no `test`."""
    if path.suffix.lower() == FOLDS:
        return _of_fold(path, paths.split_word(split), fold)
    names = [PurePosixPath(normal(line)) for line in _lines(path)]
    return [str(name.with_suffix("") if name.suffix.lower() in EXTENSIONS else name) for name in names]


def chosen(path: Path, names: Sequence[str], known: Mapping[str, T], unpaired: str) -> list[T]:
    """Return the `known` entries that a list names. Raises UserError for names that are not known, or listed twice.

    With unpaired="skip" unknown names are left out, and told in one line.
    """
    _check_twice(path, names)
    missing = [name for name in names if name not in known]
    kept = [known[name] for name in names if name in known]
    if missing:
        fact = f"{path}: {counted(len(missing), 'names')} without an image and its mask, such as {shown(missing[0])}"
        if unpaired != "skip" or not kept:
            remedy = "add them, check dataset.images, or type dataset.unpaired=skip to leave them out"
            raise Misfit(f"{fact}; {remedy}", "unpaired", names=missing)
        warnings.warn(f"{fact}, left out (dataset.unpaired=skip)", Notice, stacklevel=2)
    return kept


def _of_fold(path: Path, word: str, fold: int | None) -> list[str]:
    data, keys = read_json(path), {"train": "train", "valid": "val"}
    folds = data if isinstance(data, list) else []
    if not folds or not all(isinstance(one, dict) and {*keys.values()} <= one.keys() for one in folds):
        raise UserError(f"{path}: is no list of folds, each with `train` and `val`; write it as nnU-Net does")
    if fold is None or not 0 <= fold < len(folds):
        fact = "is not given" if fold is None else f"is {fold}"
        last = len(folds) - 1
        raise UserError(f"dataset.fold: {fact}, and {path} has {counted(len(folds), 'folds')}; give 0 to {last}")
    if word not in keys:
        raise Misfit(f"{path}: names no images of {word}; set dataset.split to train or valid", "no_fraction")
    return [str(name) for name in folds[fold][keys[word]]]


def _check_twice(path: Path, names: Collection[str]) -> None:
    seen = set[str]()
    for name in names:
        if name in seen:
            raise UserError(f"{path}: lists {shown(name)} twice; remove one of the lines")
        seen.add(name)


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as a list ({error}); save it as UTF-8") from error
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
