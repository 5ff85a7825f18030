"""Division of one set of images into splits, each by a hash of its own name."""

from __future__ import annotations

import hashlib
import math
import re
import unicodedata
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import accumulate

from densepred.dataset.facts import counted
from densepred.dataset.paths import split_word
from densepred.errors import Notice, UserError

ORDER = ("train", "valid", "test")
FOLDED = ("train", "valid")
"""The splits that folds divide."""

YEAR = re.compile(r"20\d\d$")
"""End of the name of a folder, as in train2017."""

FAR = 1.8
"""A split that is so many times larger or smaller than its fraction has a line."""
SEEDS = 100  # seeds that are tried for a remedy


def divide(
    names: Sequence[str],
    fractions: Mapping[str, float],
    seed: int,
    group: str | None = None,
    key: str = "dataset.splits",
) -> list[str | None]:
    """Return the split per name, None where fractions below 1 leave it out.

    A name's split depends on `seed` and the name alone: adding or removing an image moves no other, and the counts
    follow the fractions about. Names stay together if the first bracket (or the whole match) of the regular expression
    `group` is equal. Messages name the setting `key`.
    """
    if min(fractions.values()) <= 0 or sum(fractions.values()) > 1 + 1e-9:
        raise UserError(f"{key}: {dict(fractions)}; give fractions above 0 that add up to at most 1")
    groups = [_group(name, group) for name in names]
    found = _draw(groups, fractions, seed)
    empty = sorted(fractions.keys() - set(found))
    if empty:
        better = next((s for s in range(SEEDS) if fractions.keys() <= {*_draw(groups, fractions, s)}), None)
        remedy = "give it more" if better is None else f"give it more, or type dataset.seed={better}"
        what = counted(len(names), "images") + (
            f" in {counted(len(set(groups)), 'groups')}" if group is not None else ""
        )
        raise UserError(f"{key}: {empty[0]}={fractions[empty[0]]:g} of {what} is none; {remedy}")
    return found


def chosen_fold(folds: int | None, fold: int | None) -> tuple[int, int] | None:
    """Return the number of folds and the one for validation, counted from 0; None without folds.

    Raises UserError unless 2 <= folds and 0 <= fold < folds, or if only one of them is given.
    """
    if folds is None:
        if fold is not None:
            raise UserError(f"dataset.fold: {fold}, but dataset.folds is not given; type dataset.folds=5 too")
        return None
    if folds < 2:
        raise UserError(f"dataset.folds: {folds}; give 2 or more, or null for none")
    if fold is None or not 0 <= fold < folds:
        fact = "is not given" if fold is None else f"is {fold}"
        every = ",".join(map(str, range(folds)))
        raise UserError(
            f"dataset.fold: {fact}, with dataset.folds={folds}; give 0 to {folds - 1}, the fold for validation "
            f"(-m dataset.fold={every} trains one run of each)"
        )
    return folds, fold


def divide_folds(names: Sequence[str], folds: tuple[int, int], seed: int, group: str | None = None) -> list[str]:
    """Return "valid" per name in the chosen fold, "train" per name in the others.

    folds: their number and the chosen one, as from `chosen_fold`.

    A name's fold depends on `seed`, the number of folds and the name (or its `group`) alone. The draw is
    independent of that of `divide`. Raises UserError if any fold is empty.
    """
    count, chosen = folds
    groups = [_group(name, group) for name in names]
    found = _folds(groups, count, seed)
    empty = sorted({*range(count)} - {*found.values()})
    if empty:
        better = next((s for s in range(SEEDS) if len({*_folds(groups, count, s).values()}) == count), None)
        remedy = "type fewer" if better is None else f"type fewer, or dataset.seed={better}"
        what = counted(len(names), "images") + (
            f" in {counted(len(set(groups)), 'groups')}" if group is not None else ""
        )
        raise UserError(f"dataset.folds: of {count} folds of {what}, fold {empty[0]} is empty; {remedy}")
    return ["valid" if found[one] == chosen else "train" for one in groups]


def tell_named(count: int, what: str, name: object) -> None:
    """Tell how many images, or cases, of the validation split `name` are unused because folds divide the others."""
    if count:
        text = f"dataset.folds: divides the training {what}; unused: {counted(count, what)} of the valid split"
        warnings.warn(f"{text}; dataset.splits.test={name} tests on them", Notice, stacklevel=3)


def tell_unused(found: Sequence[str | None], fractions: Mapping[str, float]) -> None:
    """Tell how many images fractions below 1 leave out."""
    if None in found:
        text = f"dataset.splits: {fractions} leaves {found.count(None)} of {len(found)} images unused"
        warnings.warn(text, Notice, stacklevel=2)


def tell_far(
    names: Sequence[str], found: Sequence[str | None], fractions: Mapping[str, float], group: str | None = None
) -> None:
    """Tell if a split of a small folder is far from its fraction, with the seed that comes nearest.

    found: the split per name, as `divide` returned them
    """
    far = _farness(found, fractions)
    name = max(far, key=lambda one: far[one])
    if far[name] <= FAR:
        return
    groups = [_group(one, group) for one in names]
    drawn = {seed: max(_farness(_draw(groups, fractions, seed), fractions).values()) for seed in range(SEEDS)}
    nearest = min(drawn, key=lambda seed: drawn[seed])
    remedy = f"; dataset.seed={nearest} comes nearer" if drawn[nearest] <= FAR else ""
    asked = f"{fractions[name]:g} asks for {fractions[name] * len(found):.3g}"
    held = f"{name} holds {found.count(name)} of {counted(len(found), 'images')}"
    warnings.warn(f"dataset.splits: {held}, where {asked}{remedy}", Notice, stacklevel=2)


def tell_pooled(names: Sequence[str]) -> None:
    """Tell if fractions divide images together that lie in folders called as splits, such as train and test.

    names: paths of images
    """
    found = Counter(word for name in names if (word := _named_split(name)) is not None)
    if len({_of_word(word) for word in found}) > 1:
        folders = ", ".join(f"{word} ({count})" for word, count in sorted(found.items()))
        text = f"dataset.splits: fractions divide the images of folders called as splits together: {folders}"
        warnings.warn(f"{text}; name the folders in dataset.splits to keep them apart", Notice, stacklevel=3)


def _farness(found: Sequence[str | None], fractions: Mapping[str, float]) -> dict[str, float]:
    """Return how many times each split is too large or too small; a difference of one image counts as none."""
    counts, far = Counter(found), dict[str, float]()
    for name, fraction in fractions.items():
        wanted, held = fraction * len(found), counts[name]
        ratio = max(held, wanted) / min(held, wanted) if held else math.inf
        far[name] = 1.0 if held and abs(held - wanted) <= 1 else ratio
    return far


def _named_split(name: str) -> str | None:
    """Return the first folder of a path that is called as a split, such as val2017; None without one."""
    return next((part for part in name.split("/")[:-1] if _of_word(part) in ORDER), None)


def _of_word(word: str) -> str:
    return split_word(YEAR.sub("", word.casefold()))


def _draw(groups: Sequence[str], fractions: Mapping[str, float], seed: int) -> list[str | None]:
    order = sorted(fractions, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name))
    edges = list(accumulate(fractions[name] for name in order))
    if edges[-1] > 1 - 1e-9:
        edges[-1] = 1.0
    places = {group: _place(seed, group) for group in set(groups)}
    return [next((n for n, edge in zip(order, edges, strict=True) if places[g] < edge), None) for g in groups]


def _folds(groups: Sequence[str], count: int, seed: int) -> dict[str, int]:
    """Return the fold per group."""
    return {group: int(_place(f"{seed}\nfold", group) * count) for group in set(groups)}


def _place(seed: int | str, name: str) -> float:
    """Return a number in [0, 1), evenly distributed over names and seeds."""
    text = f"{seed}\n{unicodedata.normalize('NFC', name)}"
    return (int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()[:8], "big") >> 11) / 2**53


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
