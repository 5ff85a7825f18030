"""Left and right in the names of keypoints: "left_eye", "LEye", "lShoulder", "hand.L", "L Eye", "wingL", "leye".

A name is read in words: its runs of letters, split where lower case turns to upper case.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

Words = tuple[str, ...]

SIDES = (
    ("left", "right"),
    ("l", "r"),
    ("lt", "rt"),
    ("lft", "rgt"),
    ("lhs", "rhs"),
    ("links", "rechts"),
    ("linke", "rechte"),
    ("linker", "rechter"),
    ("linkes", "rechtes"),
    ("gauche", "droite"),
    ("gauche", "droit"),
    ("izquierda", "derecha"),
    ("izquierdo", "derecho"),
    ("esquerda", "direita"),
    ("esquerdo", "direito"),
    ("sinistra", "destra"),
    ("sinistro", "destro"),
)
"""Words that name a side: a name with one of them and without a partner is in doubt."""

WEAK = (
    ("lf", "rf"),
    ("lh", "rh"),
    ("lb", "rb"),
    ("fl", "fr"),
    ("bl", "br"),
    ("hl", "hr"),
    ("tl", "tr"),
    ("ul", "ur"),
    ("ll", "lr"),
)
"""Words that name a side (left fore, right hind, top left) only if both names are there."""

GLUED = (("left", "right"), ("l", "r"), ("左", "右"))
"""Sides at the beginning or the end of a word, such as "lefteye" and "leye"."""

BODY = re.compile(
    "eye|ear|brow|eyebrow|cheek|jaw|mouth|nostril|shoulder|sho|elbow|elb|arm|forearm|wrist|wri|hand|palm|finger|thumb|"
    "hip|pelvis|thigh|leg|knee|kne|ankle|ank|foot|feet|heel|toe|paw|hoof|wing|fin|horn|flank"
)
"""Parts that a single letter may be glued to: "leye" is an eye on the left, "lip" no "ip"."""

_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[^\W\dA-Z_]+|[A-Z]+|\d+")


class Sides(NamedTuple):
    """Pairs of names that are mirror images of each other, and names with a side but without a partner."""

    pairs: tuple[tuple[int, int], ...]
    alone: tuple[int, ...]


def sides(names: Sequence[str]) -> Sides:
    """Pair the names that differ in their side only; the first index of a pair is the smaller one."""
    read = [words(name) for name in names]
    places: dict[Words, int] = {}
    for index, one in enumerate(read):
        places[one] = -1 if one in places else index  # names that differ in case only are not told apart
    partners = [_partner(one, places) for one in read]
    letters = [one for one in read if len(one) == 1 and len(one[0]) == 1]
    if len(letters) > 2:  # an alphabet, in which L and R are no sides
        partners = [None if one in letters else partner for one, partner in zip(read, partners, strict=True)]
    paired = {i for i, j in enumerate(partners) if j is not None and partners[j] == i}
    doubtful = [i for i, one in enumerate(read) if i not in paired and not (one in letters and len(letters) > 2)]
    return Sides(
        tuple((i, j) for i, j in enumerate(partners) if j is not None and i < j and i in paired),
        tuple(i for i in doubtful if _sided(read[i])),
    )


def words(name: str) -> Words:
    """Return the words of a name in lower case.

    >>> words("LEye"), words("hand.L"), words("wingL2")
    (('l', 'eye'), ('hand', 'l'), ('wing', 'l', '2'))
    """
    return tuple(word.lower() for word in _WORD.findall(name))


def _partner(one: Words, places: dict[Words, int]) -> int | None:
    """Return the index of the name of the other side; None if there is none."""
    for other in _others(one):
        index = places.get(other, -1)
        if index >= 0 and places.get(one, -1) >= 0:
            return index
    return None


def _others(one: Words) -> Iterator[Words]:
    """Yield the names that the other side may have, the surest first."""
    every = tuple(next(_swapped(word, SIDES), word) for word in one)
    if every != one:
        yield every
    for table in (SIDES, WEAK):
        for at, word in enumerate(one):
            for other in _swapped(word, table):
                yield (*one[:at], other, *one[at + 1 :])
    for at, word in enumerate(one):
        for side, stem, leads in _glued(word):
            for other in _swapped(side, GLUED):
                yield (*one[:at], other + stem if leads else stem + other, *one[at + 1 :])


def _swapped(word: str, table: Sequence[tuple[str, str]]) -> Iterator[str]:
    for left, right in table:
        if word == left:
            yield right
        elif word == right:
            yield left


def _glued(word: str) -> Iterator[tuple[str, str, bool]]:
    """Yield side, stem and whether the side comes first; of single letters only those at a part of the body."""
    for side in (side for pair in GLUED for side in pair):
        for stem, leads, found in (
            (word[len(side) :], True, word.startswith(side)),
            (word[: -len(side)], False, word.endswith(side)),
        ):
            if found and stem and (side not in "lr" or BODY.fullmatch(stem)):
                yield side, stem, leads


def _sided(one: Words) -> bool:
    """Return True if a name tells its side: not by "L5", a vertebra, nor "rear", nor "bright"."""
    strong = {side for pair in SIDES for side in pair}
    for at, word in enumerate(one):
        numbered = len(word) == 1 and at + 1 < len(one) and one[at + 1].isdigit()
        if word in strong and not numbered:
            return True
        if any((BODY.fullmatch(stem) and word != "rear") or side in "左右" for side, stem, _ in _glued(word)):
            return True
    return False
