"""Division of one set of images into splits, each by a hash of its own name."""

from __future__ import annotations

import hashlib
import re
import unicodedata
import warnings
from collections.abc import Mapping, Sequence
from itertools import accumulate

from densepred.errors import Notice, UserError

ORDER = ("train", "valid", "test")
SEEDS = 100  # seeds that are tried for a remedy


def divide(
    names: Sequence[str], fractions: Mapping[str, float], seed: int, group: str | None = None
) -> list[str | None]:
    """Return the split per name, None where fractions below 1 leave it out.

    A name's split depends on `seed` and the name alone: adding or removing an image moves no other, and the counts
    follow the fractions about. Names stay together if the first bracket (or the whole match) of the regular expression
    `group` is equal.
    """
    if min(fractions.values()) <= 0 or sum(fractions.values()) > 1 + 1e-9:
        raise UserError(f"dataset.splits: {dict(fractions)}; give fractions above 0 that add up to at most 1")
    groups = [_group(name, group) for name in names]
    found = _draw(groups, fractions, seed)
    empty = sorted(fractions.keys() - set(found))
    if empty:
        better = next((s for s in range(SEEDS) if fractions.keys() <= {*_draw(groups, fractions, s)}), None)
        remedy = "give it more" if better is None else f"give it more, or type dataset.seed={better}"
        what = f"{len(names)} images" + (f" in {len(set(groups))} groups" if group is not None else "")
        raise UserError(f"dataset.splits: {empty[0]}={fractions[empty[0]]:g} of {what} is none; {remedy}")
    return found


def tell_unused(found: Sequence[str | None], fractions: Mapping[str, float]) -> None:
    """Tell how many images fractions below 1 leave out."""
    if None in found:
        text = f"dataset.splits: {fractions} leaves {found.count(None)} of {len(found)} images unused"
        warnings.warn(text, Notice, stacklevel=2)


def _draw(groups: Sequence[str], fractions: Mapping[str, float], seed: int) -> list[str | None]:
    order = sorted(fractions, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name))
    edges = list(accumulate(fractions[name] for name in order))
    if edges[-1] > 1 - 1e-9:
        edges[-1] = 1.0
    places = {group: _place(seed, group) for group in set(groups)}
    return [next((n for n, edge in zip(order, edges, strict=True) if places[g] < edge), None) for g in groups]


def _place(seed: int, name: str) -> float:
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
