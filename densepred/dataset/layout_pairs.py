"""Folders of images and masks under other names, with other ends of names, or in one folder."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import product, takewhile
from pathlib import PurePosixPath

from densepred.dataset.layout_tree import FRACTIONS, Found, Tree, pattern, quoted, split_of, split_words

MASKS = re.compile(r"(?i)(mask|label|annot|ground.?truth|\bgt\b|seg|target|instance)")
"""Words in the name of a folder of masks."""

ENDS = ("_cp_masks", "_masks", "_mask", "-mask", ".mask", "_labels", "_label", "_segmentation", "_seg", "_gt", "_L")
INSTANCES = ("_cp_masks", "_masks")
"""Ends of masks that cellpose writes, in which each object has an id of its own."""

Folders = dict[str, dict[str | None, list[str]]]


def layouts(tree: Tree, option: str) -> Iterator[Found]:
    """Yield the words for pairs of images and masks in two folders, else in one.

    option: the dataset that was typed, `folder` or another one
    """
    folders = _patterns(tree.images())
    yield from _apart(folders, option)
    for name, parts in folders.items():
        example = next(iter(parts.values()))
        for image, mask in _ends_within(example):
            kept = "instance_folder" if mask in INSTANCES else option if option in PAIRED else "folder"
            yield Found("images and masks in one folder", _words(kept, name, name, image, mask, parts))


PAIRED = ("folder", "instance_folder")


def _patterns(images: Mapping[str, list[str]]) -> Folders:
    """Return the names of images per folder with {split}, and per word of a split; the training split comes first."""
    out: Folders = {}
    for folder, names in images.items():
        name, word = pattern(folder)
        out.setdefault(name, {})[word] = names
    first = {name: sorted(parts, key=lambda w: w is None or split_of(w) != "train") for name, parts in out.items()}
    return {name: {word: out[name][word] for word in words} for name, words in first.items()}


def _apart(folders: Folders, option: str) -> Iterator[Found]:
    for images, masks in product(folders, folders):
        if images == masks or not MASKS.search(masks) or MASKS.search(images):
            continue
        if folders[images].keys() - folders[masks].keys() - {None, "test", "testing"}:
            continue
        word = next(iter(folders[masks]))
        if (ends := _ends_between(folders[images].get(word, []), folders[masks][word])) is not None:
            what = f"images in {images} and masks in {masks}"
            kept = option if option in PAIRED else "folder"
            yield Found(what, _words(kept, images, masks, *ends, folders[masks]))


def _words(option: str, images: str, masks: str, image: str, mask: str, parts: Mapping[str | None, object]) -> str:
    """Return the words for a pattern of images and one of masks, with the ends of their names."""
    named = [word for word in parts if word is not None]
    if {"train", "valid"} <= {split_of(word) for word in named}:
        splits = split_words(named)
    else:
        word = named[0] if named else ""
        images, masks, splits = images.replace("{split}", word), masks.replace("{split}", word), FRACTIONS
    words = [f"dataset={option}", quoted("dataset.images", images), quoted("dataset.masks", masks)]
    words += [quoted(f"dataset.{key}_suffix", end) for key, end in (("image", image), ("mask", mask)) if end]
    return " ".join([*words, splits]).strip()


def _ends_between(images: Sequence[str], masks: Sequence[str]) -> tuple[str, str] | None:
    """Return the ends of image and mask names in two folders that pair all of them; None if nothing does."""
    first, second = {PurePosixPath(name).stem for name in images}, {PurePosixPath(name).stem for name in masks}
    if not first or not second:
        return None
    start = min(first)
    partner = max(sorted(second), key=lambda name: len(_start(start, name)))
    common = _start(start, partner)
    for length in range(len(common), 0, -1):
        shorter = length - (length > 1 and common[length - 1] in "_-.")
        for cut in (shorter, length):
            ends = start[cut:], partner[cut:]
            if _stripped(first, ends[0]) == _stripped(second, ends[1]) != set():
                return ends
    return None


def _ends_within(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the ends of image and mask names in one folder."""
    stems = {PurePosixPath(name).stem for name in names}
    for end in ENDS:
        masks = _stripped(stems, end)
        if not masks:
            continue
        rest = {name for name in stems if not name.endswith(end)}
        if masks <= rest:
            yield "", end
            return
        start = min(masks)
        ends = sorted({name[len(start) :] for name in rest if name.startswith(start)}, key=len)
        found = next((image for image in ends if image and masks == _stripped(rest, image)), None)
        if found is not None:
            yield found, end
            return
    if (end := _only_end(stems)) is not None:
        yield "", end
        return
    kinds = sorted({PurePosixPath(name).suffix for name in names})
    if len(kinds) == 2 and ".png" in kinds:
        image = next(kind for kind in kinds if kind != ".png")
        if _stripped({*names}, image) == _stripped({*names}, ".png"):
            yield image, ".png"


def _only_end(stems: set[str]) -> str | None:
    """Return the end with a letter, such as `_ids`, which every second name has more than another one."""
    start = min(stems, default="")
    for end in sorted({name[len(start) :] for name in stems if name.startswith(start)}):
        masks = _stripped(stems, end) if re.search("[A-Za-z]", end) else set[str]()
        if masks and masks == {name for name in stems if not name.endswith(end)}:
            return end
    return None


def _start(one: str, other: str) -> str:
    """Return the characters with which both names begin."""
    return "".join(a for a, _ in takewhile(lambda both: both[0] == both[1], zip(one, other, strict=False)))


def _stripped(names: set[str], end: str) -> set[str]:
    return {name[: len(name) - len(end)] for name in names if name.endswith(end)}
