"""Pairs of image and mask files: from folders or a list, and divided into splits."""

from __future__ import annotations

import csv
import os
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from densepred.dataset.image_file import EXTENSIONS
from densepred.types import UserError


@dataclass(frozen=True, slots=True)
class Pair:
    """An image, its mask if it has one, and their common name."""

    id: str
    image: Path
    mask: Path | None


def pair_folders(images: Path, masks: Path | None, mask_suffix: str = "", image_suffix: str = "") -> list[Pair]:
    """Pair files by relative path without suffix and extension, in the order of their names."""
    found = _by_stem(images, image_suffix)
    if not found:
        raise UserError(f"{images}: holds no images ({', '.join(sorted(EXTENSIONS))}); check dataset.root and splits")
    if masks is None:
        return [Pair(name, path, None) for name, path in sorted(found.items())]
    labels = _by_stem(masks, mask_suffix)
    _check_partners(found, labels, images, masks)
    return [Pair(name, path, labels[name]) for name, path in sorted(found.items())]


def read_list(path: Path, root: Path, has_masks: bool) -> list[tuple[Pair, str | None]]:
    """Return the pairs and splits of a CSV file with the columns image, mask and perhaps split.

    Paths are relative to `root`. The split is None if there is no such column.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read as a list ({error}); write a CSV file with image,mask") from error
    columns = {"image", "mask"} if has_masks else {"image"}
    if not rows or not columns <= rows[0].keys():
        raise UserError(f"{path}: needs a first line with the columns {', '.join(sorted(columns))}, and rows")
    out = []
    for line, row in enumerate(rows, start=2):
        if not all(row[column] for column in columns):
            raise UserError(f"{path}: line {line} names no {' or '.join(sorted(columns))}; complete or remove it")
        mask = root / row["mask"] if has_masks else None
        out.append((Pair(str(Path(row["image"]).with_suffix("")), root / row["image"], mask), row.get("split")))
    _check_twice(path, [pair.id for pair, _ in out])
    return out


def divide(
    pairs: Sequence[Pair], fractions: Mapping[str, float], seed: int, group: str | None
) -> dict[str, list[Pair]]:
    """Divide the pairs at random by `seed`, in the given fractions.

    Pairs stay together if the first bracket (or the whole match) of the regular expression `group` is equal.
    """
    if min(fractions.values()) <= 0 or sum(fractions.values()) > 1 + 1e-9:
        raise UserError(f"dataset.splits: {dict(fractions)}; give fractions above 0 that add up to at most 1")
    groups: dict[str, list[Pair]] = {}
    for pair in sorted(pairs, key=lambda pair: pair.id):
        groups.setdefault(_group(pair.id, group), []).append(pair)
    names = list(groups)
    order = [groups[names[index]] for index in np.random.default_rng(seed).permutation(len(names))]

    # Lay groups end to end: each goes to the split in which its center lies
    edges = np.cumsum(list(fractions.values())) * len(pairs)
    out: dict[str, list[Pair]] = {split: [] for split in fractions}
    before = 0
    for members in order:
        place = int(np.searchsorted(edges, before + len(members) / 2 - 1e-6))
        before += len(members)
        if place < len(edges):
            out[list(fractions)[place]] += members
    for split, members in out.items():
        if not members:
            raise UserError(f"dataset.splits: {split}={fractions[split]} of {len(pairs)} images is none; give it more")
        members.sort(key=lambda pair: pair.id)
    return out


def _group(name: str, pattern: str | None) -> str:
    if pattern is None:
        return name
    try:
        found = re.search(pattern, name)
    except re.error as error:
        raise UserError(f"dataset.group: {pattern!r} is no regular expression ({error}); correct it") from error
    if found is None:
        raise UserError(f"dataset.group: {pattern!r} does not match {name!r}; give one that matches every image")
    return found[1] if found.re.groups else found[0]


def _walk(folder: Path, seen: frozenset[str] = frozenset()) -> Iterator[Path]:
    """Yield everything with the extension of an image, so that reading can name what is no file; skip hidden files."""
    real = os.path.realpath(folder)
    if real in seen:
        return
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        path = folder / entry.name
        if entry.name.startswith("."):
            continue
        if path.suffix.lower() in EXTENSIONS:
            yield path
        elif entry.is_dir():
            yield from _walk(path, seen | {real})


def _by_stem(folder: Path, suffix: str) -> dict[str, Path]:
    """Return the files by relative path without extension and suffix, as composed Unicode."""
    if not folder.is_dir():
        raise UserError(f"{folder}: is no folder; check dataset.root, dataset.images, dataset.masks and dataset.splits")
    out: dict[str, Path] = {}
    for path in _walk(folder):
        name = unicodedata.normalize("NFC", path.relative_to(folder).with_suffix("").as_posix())
        if not name.endswith(suffix):
            continue
        name = name[: len(name) - len(suffix)]
        if name in out:
            raise UserError(f"{path} and {out[name].name}: have the same name without extension; keep one of them")
        out[name] = path
    return out


def _check_partners(images: Mapping[str, Path], masks: Mapping[str, Path], here: Path, there: Path) -> None:
    alone, lonely = sorted(images.keys() - masks.keys()), sorted(masks.keys() - images.keys())
    if not alone and not lonely:
        return
    folded = {name.casefold() for name in lonely}
    hint = (
        "names differ in upper and lower case" if any(n.casefold() in folded for n in alone) else "add or remove files"
    )
    parts = [
        f"{len(names)} {what} ({', '.join(map(repr, names[:3]))}{', ...' if len(names) > 3 else ''})"
        for names, what in ((alone, "images without a mask"), (lonely, "masks without an image"))
        if names
    ]
    raise UserError(f"{here} and {there}: {' and '.join(parts)}; {hint}")


def _check_twice(path: Path, names: list[str]) -> None:
    twice = {name for name in names if names.count(name) > 1} if len(set(names)) < len(names) else set()
    if twice:
        raise UserError(f"{path}: lists {min(twice)!r} twice; remove one of the lines")
