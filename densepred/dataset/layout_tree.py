"""Files and folders of a dataset that could not be read as typed, and the words that name its splits."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from densepred.dataset.image_file import EXTENSIONS

DEEP, MOST = 4, 20_000
"""Folders below each other, and entries, that are looked at."""
BEGINNING = 1 << 20
"""Bytes of a file that are looked at, where a file is of one image."""
LARGEST = 1 << 28
"""Bytes of a file of all images that is looked at."""

FRACTIONS = "'dataset.splits={train: 0.8, valid: 0.2}'"
FOLDS = "dataset.folds=5 dataset.fold=0"
"""Words that take the validation from the images of training, so that those of a test stay apart."""
WORDS = {"train": ("train", "training"), "valid": ("val", "valid", "validation", "dev"), "test": ("test", "testing")}
TOKEN = re.compile(
    r"(?<![A-Za-z0-9])(train(?:ing)?|val(?:id(?:ation)?)?|dev|test(?:ing)?)(?=(?:20\d\d)?(?:annot)?(?![A-Za-z0-9]))"
)
"""A word for a split in a path; a year such as 2017, or CamVid's `annot`, may follow."""


class Found(NamedTuple):
    """A layout as people call it, and the words that read it; if none do (`read` is False), what to do instead."""

    what: str
    words: str
    read: bool = True


@dataclass(frozen=True)
class Tree:
    """Paths below `root`, relative and with forward slashes, in the order of their names."""

    root: Path
    files: tuple[str, ...]
    folders: frozenset[str]

    def has(self, *names: str) -> bool:
        return all(name in self.folders or name in self.files for name in names)

    def any(self, pattern: str) -> bool:
        """Look for a file with a path that fits a regular expression."""
        return any(re.fullmatch(pattern, name) for name in self.files)

    def beginning(self, name: str, most: int = BEGINNING) -> bytes:
        """Return the first bytes of a file; none if it cannot be read."""
        try:
            with (self.root / name).open("rb") as file:
                return file.read(most)
        except OSError:
            return b""

    def images(self) -> dict[str, list[str]]:
        """Return the names of the images per folder; the root itself is "."."""
        out: dict[str, list[str]] = {}
        for name in self.files:
            folder, _, file = name.rpartition("/")
            if Path(file).suffix.lower() in EXTENSIONS:
                out.setdefault(folder or ".", []).append(file)
        return out


def listed(root: Path) -> Tree:
    """List what lies below `root`, without hidden names, as far as DEEP and MOST allow."""
    files, folders = list[str](), list[str]()
    for place, inside, names in os.walk(root):
        below = Path(place).relative_to(root)
        inside[:] = sorted(name for name in inside if not name.startswith("."))
        files += [(below / name).as_posix() for name in sorted(names) if not name.startswith(".")]
        folders += [(below / name).as_posix() for name in inside]
        if len(below.parts) >= DEEP - 1:
            inside.clear()
        if len(files) + len(folders) > MOST:
            break
    return Tree(root, tuple(files), frozenset(folders))


def pattern(path: str) -> tuple[str, str | None]:
    """Return a path with {split} for its first word of a split, and that word with its year; None without one."""
    found = TOKEN.search(path)
    if found is None:
        return path, None
    end = re.compile(r"(20\d\d)?").match(path, found.end())
    stop = found.end() if end is None else end.end()
    return f"{path[: found.start()]}{{split}}{path[stop:]}", path[found.start() : stop]


def split_of(word: str) -> str:
    """Return the split that a word of a path means, in any case of letters; "" for another word."""
    plain = re.sub(r"20\d\d$", "", word).lower()
    return next((name for name, words in WORDS.items() if plain in words), "")


def split_words(found: Iterable[str]) -> str:
    """Return the words that name the splits, where they are not called as by default."""
    defaults = {"train": "train", "valid": "val", "test": "test"}
    named = {split_of(word): word for word in sorted(found)}
    return " ".join(f"dataset.splits.{split}={word}" for split, word in named.items() if defaults[split] != word)


def named_splits(words: Collection[str]) -> str | None:
    """Return the words for splits that are called so, with folds of training if there is none for validation.

    None if the images are to be divided.
    """
    kinds = {*map(split_of, words)}
    if not {"train", "valid"} <= kinds and not {"train", "test"} <= kinds:
        return None
    named = split_words(word for word in words if split_of(word))
    return named if "valid" in kinds else f"{named} {FOLDS}".strip()


def quoted(key: str, value: str) -> str:
    """Return a word for the shell, in quotes if it holds a brace or a space."""
    return f"{key}={value}" if re.fullmatch(r"[\w./-]*", value, re.ASCII) else f"'{key}=\"{value}\"'"


def per_split(names: list[str], option: str) -> str:
    """Return the words for an annotation file per split, or for the first file, to be divided."""
    found = [(text, word) for text, word in map(pattern, names) if word is not None]
    for text, _ in found:
        splits = named_splits({word for other, word in found if other == text})
        if splits is not None:
            return f"dataset={option} {quoted('dataset.annotations', text)} {splits}".strip()
    return f"dataset={option} {quoted('dataset.annotations', names[0])} {FRACTIONS}"


def divided(key: str, files: Iterable[str], known: Collection[str]) -> str:
    """Return the words for annotation files in a folder per split; those of a random split without such folders.

    key: the setting of the folder, which is left out for the `known` patterns
    """
    groups: dict[str, set[str]] = {}
    for name in files:
        text, word = pattern(name.rpartition("/")[0])
        if word is not None:
            groups.setdefault(text, set()).add(word)
    for text, words in groups.items():
        if (splits := named_splits(words)) is not None:
            return " ".join([*([] if text in known else [quoted(key, text)]), splits]).strip()
    return FRACTIONS
