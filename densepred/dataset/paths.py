"""Paths of a dataset's files: patterns with {split}, and file names from a file of unknown origin."""

from __future__ import annotations

import os
import warnings
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, TypeVar

from densepred.dataset.file_names import normal
from densepred.errors import Misfit, Notice, UserError, shown
from densepred.home import expand

T = TypeVar("T")
Lacking = TypeVar("Lacking", bound=UserError)
Patterns = str | Sequence[str]
"""Path within the root in which {split} stands for the split's name. Of several, the first that exists counts."""

Splits = Mapping[str, Patterns | float]
"""Places of the splits, or their fractions of one set."""


ALIASES = {"training": "train", "val": "valid", "validation": "valid", "testing": "test"}
"""Other words for the splits, in `dataset.splits`, `dataset.split` and the column `split` of a list."""

PER_CENT = 100
ALL = 1 + 1e-6
"""Sum of the fractions of all images, as decimals round it."""


class Absent(UserError):  # noqa: N818, named after the fact
    """Files of a dataset are not there; the folder may hold another layout."""


class Unlisted(Absent):
    """The list of a split is not there, while those of others are: the layout is known."""


def offering_folds(error: Lacking, split: str) -> Lacking:
    """Return an error about the files of a split, if those of training are there: validation can be taken from them.

    An absent list beside others has its own remedy.
    """
    if split_word(split) == "valid" and not isinstance(error, Unlisted):
        error.args = (f"{error}, or type dataset.folds=5 dataset.fold=0 to validate on a fifth of those of training",)
    return error


def split_word(word: str) -> str:
    """Return the split that a word of the user means."""
    return ALIASES.get(word, word)


def known_splits(splits: Mapping[str, Any] | None, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return `splits` under densepred's names; `defaults` are those of the option, which a typed alias replaces."""
    given = {str(name): value for name, value in (defaults if splits is None else splits).items()}
    out = {name: value for name, value in given.items() if name not in ALIASES}
    for name, value in given.items():
        known = split_word(name)
        if known == name:
            continue
        if known in out and not _equal(out[known], defaults.get(known)):
            raise UserError(f"dataset.splits: {name} and {known} are the same split; remove one of them")
        out[known] = value
    return _fitting(out, defaults)


def _fitting(splits: dict[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out the default fraction of test where those that are typed for the others leave no room for it."""
    whole = all(_is_fraction(part) for part in splits.values())
    others = [part for name, part in splits.items() if name != "test"]
    same = _equal(splits.get("test"), defaults.get("test"))
    if not whole or "test" not in splits or not same or sum(others) > ALL or sum(splits.values()) <= ALL:
        return splits
    text = f"dataset.splits: test={splits['test']:g} of the option is left out, as the others add up to {sum(others):g}"
    warnings.warn(text, Notice, stacklevel=2)
    return {name: part for name, part in splits.items() if name != "test"}


def fractions(splits: Mapping[str, Any], split: str) -> dict[str, float]:
    """Return the splits that are fractions of one set, {} if `splits` holds names.

    Raises UserError if `split` is none of the fractions.
    """
    found = {name: float(part) for name, part in splits.items() if _is_fraction(part)}
    whole = [part for part in splits.values() if isinstance(part, int) and part > 1]
    if len(whole) > 1 and sum(whole) == PER_CENT:
        raise UserError(f"dataset.splits: {dict(splits)}; give fractions, such as {{train: 0.8, valid: 0.2}}")
    odd = [splits[name] for name in found if isinstance(splits[name], int)]
    if odd and len(found) < len(splits):
        fact = f"dataset.splits: {odd[0]} is a fraction, beside names in {dict(splits)}"
        raise UserError(f'{fact}; write a name in quotes ("{odd[0]}"), or 1.0 for all images')
    split = split_word(split)
    if found and split in splits and split not in found:
        given = " and ".join(f"{name}: {part:g}" for name, part in found.items())
        fact = f"dataset.splits: the images are divided by fractions ({given}), of which {split} has none"
        raise Misfit(f"{fact}; if you need it, add one, such as {split}: 0.1", "no_fraction")
    return found


def _is_fraction(part: object) -> bool:
    return isinstance(part, float) or (isinstance(part, int) and not isinstance(part, bool) and part in (0, 1))


def _equal(one: object, other: object) -> bool:
    return _as_list(one) == _as_list(other) if isinstance(other, str | Sequence) else one == other


def of_split(splits: Mapping[str, T], split: str) -> T:
    """Return the entry of `splits`, or raise UserError if there is none."""
    name = split if split in splits else split_word(split)
    if name not in splits:
        raise UserError(f"dataset.split: {split!r} is not in dataset.splits; choose one of {', '.join(splits)}")
    return splits[name]


def name_of_split(splits: Mapping[str, str] | None, defaults: Mapping[str, str], split: str) -> str:
    """Return the name of a split in an official tree, which has no fractions."""
    found = of_split(known_splits(splits, defaults), split)
    if isinstance(found, float):
        raise UserError(f"dataset.splits: {split}={found}; the splits of this dataset are lists or folders, name one")
    return str(found)


def split_names(splits: Splits, split: str) -> list[str]:
    """Return the names that stand for {split} in paths, the first choice first."""
    return _as_list(of_split(splits, split))


def dataset_root(root: str | Path) -> Path:
    """Return the folder of the dataset, or raise UserError if there is none."""
    folder = expand(str(root))  # a name such as 2018 arrives as a number
    if not folder.is_dir():
        raise UserError(f"dataset.root: {root} is no folder (from {Path.cwd()}); give the folder of the dataset")
    return folder


def below(folder: Path, pattern: object, name: str) -> Path:
    """Return a pattern's path for the split `name`, within the folder unless it is absolute."""
    return folder / expand(str(pattern).replace("{split}", name))


def find(root: str, patterns: Patterns, names: Sequence[str], key: str) -> tuple[Path, str]:
    """Return the first path that exists, and the split's name in it. `key` is the setting that messages name."""
    folder = dataset_root(root)
    tried = [*dict.fromkeys((below(folder, one, name), name) for name in names for one in _as_list(patterns))]
    if not tried:
        raise UserError(f"dataset.{key}: is empty; give a path within dataset.root")
    for path, name in tried:
        if path.exists():
            return path, name
    first, *more = dict.fromkeys(path for path, _ in tried)
    short = [str(path.relative_to(folder) if path.is_relative_to(folder) else path) for path in more]
    others = f" (nor is there {', '.join(short)})" if short else ""
    raise Absent(f"{first}: is missing{others}; check dataset.root, dataset.{key} and dataset.splits")


def other_words(split: str, names: Sequence[str]) -> list[str]:
    """Return the usual words for a split that are not among `names`."""
    word = split_word(split)
    return [other for other in (word, *ALIASES) if split_word(other) == word and other not in names]


def words_there(there: Collection[str], names: Sequence[str], split: str) -> set[str]:
    """Return those of `names` that are among the words `there`, else the usual words for the split among them.

    Letters of either case are the same; the words that are returned, like those given, are in lower case.
    """
    named = {name.casefold() for name in names} & set(there)
    return named or {word for word in there if split_word(word) == split_word(split)}


def tell_other(path: Path, names: Sequence[str], split: str, what: str) -> None:
    """Tell that a path is read as a split, although `what` of the names given for it is not there."""
    text = f"{path}: read as {split}, because no {what} are called {' or '.join(names)}"
    warnings.warn(text, Notice, stacklevel=3)


def present(root: Path, pattern: str, name: str, split: str) -> str:
    """Return the name of a split for which the folder exists: `name`, else another word with a notice."""
    if "{split}" not in pattern or below(root, pattern, name).exists():
        return name
    word = split_word(split)
    others = [other for other in other_words(split, [name]) if below(root, pattern, other).is_dir()]
    if not others:
        return name
    text = f"{below(root, pattern, name)}: is not there, so {word} is read from {below(root, pattern, others[0]).name}"
    warnings.warn(f"{text}, as dataset.splits.{word}={others[0]} does", Notice, stacklevel=2)
    return others[0]


def inside(folder: Path, name: object, where: str) -> Path:
    """Return `folder / name`, or raise UserError if that leads out of the folder. Links within it are followed."""
    if not isinstance(name, str) or not name:
        raise UserError(f"{where}: its file_name is {shown(name)}; give a path within {folder}")
    posix, windows = PurePosixPath(name), PureWindowsPath(name)
    escapes = posix.is_absolute() or windows.anchor or ".." in posix.parts or ".." in windows.parts
    if escapes or "\0" in name or not _encodable(name):
        raise UserError(f"{where}: its file_name {shown(name)} leads out of {folder}; give a path within it")
    path = folder / name
    if "\\" in name and not os.path.exists(path):  # written on Windows; False, unlike Path, for names that are too long
        return folder / normal(name)
    return path


def _encodable(name: str) -> bool:
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return False
    return True


def _as_list(patterns: object) -> list[str]:
    if isinstance(patterns, Sequence) and not isinstance(patterns, str):
        return [str(pattern) for pattern in patterns]
    return [str(patterns)]
