"""Folders of images and masks under other names, with other ends of names, or in one folder."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import permutations, product, takewhile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from densepred.dataset.facts import counted
from densepred.dataset.image_file import opened
from densepred.dataset.layout_ends import MOST, Ends, between, stems, stripped, within
from densepred.dataset.layout_tree import FRACTIONS, Found, Tree, named_splits, pattern, quoted, split_of
from densepred.dataset.pair_list import splits_listed
from densepred.dataset.pairs import OF_CELLPOSE
from densepred.types import UserError

MASKS = re.compile(
    r"(?i)(mask|label|annot|ground.?truth|seg|target|instance"
    r"|(?<![a-z])(gts?|lbls?|msks?|anns?|annos?|truths?|y)(?![a-z]))"
)
"""Words in the name of a folder of masks."""
IMAGES = re.compile(
    r"(?i)(image|photo|picture|(?<![a-z])(imgs?|ims?|pics?|raws?|inputs?|scans?|frames?|rgb|x)(?![a-z]))"
)
"""Words in the name of a folder of images, which go before others that fit as well."""
CELLPOSE = "_cp_masks"
INSTANCES = (CELLPOSE, "_masks")
"""Ends of masks that cellpose writes beside images, in which each object has an id of its own."""
SEVERAL = 3
"""Files of a folder that are opened to tell masks from images, where no word does."""
SEVERAL_LISTS, LARGEST_LIST = 20, 1 << 24
"""CSV files that are opened at most, and their bytes."""
FEW = 32
"""Values that a mask of classes holds at most, and a photograph exceeds twice."""
FLAT = 0.8
"""Share of the pixels of a mask that are at least equal to their neighbours; that of a photograph is smaller."""
OF_CLASSES, OF_IDS = "of classes", "of ids of objects"

Parts = Mapping[str | None, list[str]]
Folders = dict[str, dict[str | None, list[str]]]


def layouts(tree: Tree, option: str) -> Iterator[Found]:
    """Yield the words for pairs of images and masks in a list, else in two folders, else in one.

    option: the dataset that was typed, `folder` or another one
    """
    yield from _listed(tree, option if option in PAIRED else "folder")
    folders = _patterns(_without_drawings(tree.images()))
    yield from _apart(tree, folders, option)
    for name, parts in folders.items():
        for ends in within(next(iter(parts.values()))):
            kept = "instance_folder" if ends.mask in INSTANCES else option if option in PAIRED else "folder"
            yield _found("images and masks in one folder", kept, (name, name), ends, parts, parts)


PAIRED = ("folder", "instance_folder")


def _listed(tree: Tree, option: str) -> Iterator[Found]:
    """Yield the words for CSV files that list pairs: one per split, or one with a column of splits or without."""
    names = [name for name in tree.files if name.lower().endswith(".csv")][:SEVERAL_LISTS]
    listed = {name: words for name in names if (words := _words_of(tree.root / name)) is not None}
    groups: dict[str, dict[str | None, str]] = {}
    for name in listed:
        text, word = pattern(name)
        groups.setdefault(text, {})[word] = name
    several = {text: named_splits([word for word in ones if word]) for text, ones in groups.items()}
    for text, splits in several.items():
        if splits is not None:
            yield Found("lists of pairs", f"dataset={option} {quoted('dataset.list', text)} {splits}".strip())
            return
    for name, words in listed.items():
        splits = named_splits(words)
        yield Found(
            f"a list of pairs ({name})",
            f"dataset={option} {quoted('dataset.list', name)} {FRACTIONS if splits is None else splits}".strip(),
        )


def _words_of(path: Path) -> set[str] | None:
    return splits_listed(path, path.parent) if path.stat().st_size <= LARGEST_LIST else None


def _without_drawings(images: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Return the names of images per folder without those of what cellpose saves beside masks."""
    kept = {folder: [name for name in names if not _is_drawing(name)] for folder, names in images.items()}
    return {folder: names for folder, names in kept.items() if names}


def _is_drawing(name: str) -> bool:
    return name.rpartition(".")[0].endswith(OF_CELLPOSE)


def _patterns(images: Mapping[str, list[str]]) -> Folders:
    """Return the names of images per folder with {split}, and per word of a split; the training split comes first."""
    out: Folders = {}
    for folder, names in images.items():
        name, word = pattern(folder)
        out.setdefault(name, {})[word] = names
    first = {name: sorted(parts, key=lambda w: w is None or split_of(w) != "train") for name, parts in out.items()}
    return {name: {word: out[name][word] for word in words} for name, words in first.items()}


def _apart(tree: Tree, folders: Folders, option: str) -> Iterator[Found]:
    """Yield the words for a folder of masks by its name, then by its content if there are two folders alone."""
    kept = option if option in PAIRED else "folder"
    masked = [name for name in folders if MASKS.search(name)]  # not all pairs: a root may hold a folder for each class
    named = [one for one in product(folders, masked) if _named(*one) and _splits_fit(*map(folders.get, one))]
    for images, masks in sorted(named, key=lambda one: IMAGES.search(one[0]) is None):
        word = next(iter(folders[masks]))
        ends = between(stems(folders[images].get(word, [])), stems(folders[masks][word]))
        if ends is not None:
            what = f"images in {images} and masks in {masks}"
            reader = "instance_folder" if ends.mask == CELLPOSE else kept
            yield _found(what, reader, (images, masks), ends, _below(tree, folders, images, masks), folders[masks])
    pair = permutations(folders, 2) if len(folders) == 2 and not named else ()
    for images, masks in (one for one in pair if _splits_fit(*map(folders.get, one))):
        word = next(iter(folders[masks]))
        first, second = folders[images].get(word, []), folders[masks][word]
        equal = len(stems(first) & stems(second)) >= MOST * max(len(first), len(second))
        of = _masks_of(tree, images, masks, word, second, first) if equal else None
        if of is not None:
            what = f"images in {images} and masks {of} in {masks} by their content"
            reader = "instance_folder" if of == OF_IDS else kept
            yield _found(what, reader, (images, masks), Ends(), folders[images], folders[masks])


def _below(tree: Tree, folders: Folders, images: str, masks: str) -> Parts:
    """Return the names per word of a split with those in subfolders of the images, which reading lists too."""
    out = dict(folders[images])
    for word in out:
        place, apart = (name.replace("{split}", word or "") for name in (images, masks))
        start = "" if place == "." else f"{place}/"
        for folder, names in tree.images().items():
            if folder not in (place, apart) and f"{folder}/".startswith(start):
                out[word] = out[word] + [f"{folder[len(start) :]}/{name}" for name in names]
    return out


def _splits_fit(images: Parts | None, masks: Parts | None) -> bool:
    return not (images or {}).keys() - (masks or {}).keys() - {None, "test", "testing"}


def _named(images: str, masks: str) -> bool:
    """Look for a word of masks in the name of one folder alone, below the folders that both lie in."""
    parts = images.split("/"), masks.split("/")
    shared = sum(1 for _ in takewhile(lambda both: both[0] == both[1], zip(*parts, strict=False)))
    one, other = ("/".join(part[shared:]) for part in parts)
    return bool(MASKS.search(other)) and not MASKS.search(one)


def _masks_of(
    tree: Tree, images: str, masks: str, word: str | None, second: Sequence[str], first: Sequence[str]
) -> str | None:
    """Return what the files of one folder are masks of, if those of the other hold many values; None if of nothing.

    More values than there are classes are ids of objects, if nearly all pixels are equal to their neighbours.
    """
    found = _contents(tree, masks.replace("{split}", word or ""), second)
    others = _contents(tree, images.replace("{split}", word or ""), first)
    if not found or not others or min(one.values for one in others) <= 2 * FEW:
        return None
    if max(one.values for one in found) <= FEW:
        return OF_CLASSES
    ids = all(one.single and one.flat >= FLAT for one in found) and all(one.flat < FLAT for one in others)
    return OF_IDS if ids else None


class Content(NamedTuple):
    """The content of a file, as far as it tells a mask from a photograph.

    values: how many there are; single: one channel; flat: the share of pixels equal to their neighbours on the right
    """

    values: int
    single: bool
    flat: float


def _contents(tree: Tree, folder: str, names: Sequence[str]) -> list[Content]:
    """Return the content of some files of a folder; none for a file that cannot be read."""
    found = list[Content]()
    for name in names[:: max(1, len(names) // SEVERAL)][:SEVERAL]:
        try:
            with opened(tree.root / folder / name) as image:
                pixels = np.asarray(image)
        except UserError:
            continue
        single = pixels.ndim == 2
        row = pixels.reshape(-1) if single else pixels.reshape(-1, pixels.shape[2])
        equal = pixels[:, 1:] == pixels[:, :-1]
        flat = float((equal if single else equal.all(2)).mean()) if equal.size else 1.0
        found.append(Content(len(np.unique(row, axis=0)), single, flat))
    return found


def _found(what: str, option: str, folders: tuple[str, str], ends: Ends, images: Parts, masks: Parts) -> Found:
    """Return the layout with its words, and the files that they leave out for want of a partner."""
    named = [word for word in masks if word is not None]
    splits = named_splits(named)
    used = [next(iter(masks))] if splits is None else named
    alone, lonely = _alone([(images.get(word, []), masks[word]) for word in used], ends)
    facts = [
        f", {counted(len(names), kind)} ({', '.join(sorted(names)[:3])}{', ...' if len(names) > 3 else ''})"
        for names, kind in ((alone, "images without a mask"), (lonely, "masks without an image"))
        if names
    ]
    return Found("".join([what, *facts]), _words(option, *folders, ends, splits, used[0] or "", bool(facts)))


def _alone(parts: Sequence[tuple[list[str], list[str]]], ends: Ends) -> tuple[set[str], set[str]]:
    """Return the images without a mask and the masks without an image, by their names without ends."""
    alone, lonely = set[str](), set[str]()
    for images, masks in parts:
        names = [({*part} if "." in end else stems(part)) for part, end in ((images, ends.image), (masks, ends.mask))]
        if images is masks:
            names[0] = {name for name in names[0] if not ends.mask or not name.endswith(ends.mask)}
        first, second = stripped(names[0], ends.image), stripped(names[1], ends.mask)
        alone, lonely = alone | (first - second), lonely | (second - first)
    return alone, lonely


def _words(option: str, images: str, masks: str, ends: Ends, splits: str | None, word: str, unpaired: bool) -> str:
    """Return the words for a pattern of images and one of masks, with the ends of their names.

    splits: words that name the splits; None if the images of the folder `word` are to be divided
    """
    if splits is None:
        images, masks, splits = images.replace("{split}", word), masks.replace("{split}", word), FRACTIONS
    words = [f"dataset={option}", quoted("dataset.images", images), quoted("dataset.masks", masks)]
    words += [quoted(f"dataset.{key}_suffix", end) for key, end in zip(("image", "mask"), ends, strict=True) if end]
    words += ["dataset.unpaired=skip"] if unpaired else []
    return " ".join([*words, splits]).strip()
