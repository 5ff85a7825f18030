"""Images of two splits that look alike, by a perceptual hash."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from densepred import home
from densepred.inspection.facts import Facts
from densepred.inspection.finding import Finding
from densepred.output import many

NEAR = 4
"""Bits of 64 in which the hashes of near-duplicates may differ."""
SCENE = "(.+)_"
"""Regular expression of the scene in a name such as scene3_007."""
NONE: Mapping[str, Any] = {}
ROWS = 256  # rows of hashes that are compared at once: memory stays small


def nearest(of: Sequence[int], among: Sequence[int]) -> list[tuple[int, int, int]]:
    """Return (bits, i, j) of each hash i and the hash j nearest to it, if at most NEAR bits differ; nearest first.

    All pairs are compared, so the time grows with the product of both lengths. One per hash is kept: in a video, nearly
    all pairs are alike. If both are one list, no hash is its own partner, and each pair is there once, with i < j.
    """
    rows, columns = np.array(of, dtype=np.uint64), np.array(among, dtype=np.uint64)
    found, same = set[tuple[int, int, int]](), of is among
    if not len(columns):
        return []
    for start in range(0, len(rows), ROWS):
        bits = np.bitwise_count(rows[start : start + ROWS, None] ^ columns[None])
        places = np.arange(len(bits))
        if same:
            bits[places, start + places] = 64
        partners = bits.argmin(1)
        for place in np.flatnonzero(bits[places, partners] <= NEAR).tolist():
            i, j = start + place, int(partners[place])
            found.add((int(bits[place, j]), min(i, j), max(i, j)) if same else (int(bits[place, j]), i, j))
    return sorted(found)


def findings(splits: Mapping[str, Sequence[Facts]], node: Mapping[str, Any] = NONE) -> Iterator[Finding]:
    """Yield one finding per two splits with images that look alike.

    node: of the dataset
    """
    hashed = {split: [one for one in found if one.hash is not None] for split, found in splits.items()}
    for split, found in splits.items():
        flat = [one.id for one in found if one.hash is None and one.error is None]
        if flat:
            fact = f"{split}: {many(len(flat), 'image')} nearly of one brightness, not compared with others"
            yield Finding("note", "flat_images", fact, "remove them if they are failed exposures", tuple(flat))
    for split, rows in hashed.items():
        hashes = [one.hash or 0 for one in rows]
        if near := nearest(hashes, hashes):
            yield _within(split, [(rows[i].id, rows[j].id) for _, i, j in near], len(splits[split]))
    names = list(hashed)
    for index, split in enumerate(names):
        for other in names[index + 1 :]:
            first, second = hashed[split], hashed[other]
            if near := nearest([one.hash or 0 for one in second], [one.hash or 0 for one in first]):
                pairs = [(first[j].id, second[i].id) for _, i, j in near]
                yield _leak(split, other, pairs, len(splits[other]), _remedy(splits, node))


def _within(split: str, near: Sequence[tuple[str, str]], images: int) -> Finding:
    alike = tuple(dict.fromkeys(name for pair in near for name in pair))
    shown = ", ".join(f"{a} = {b}" for a, b in near[:3])
    return Finding(
        "note",
        "alike_images",
        f"{split}: {len(alike)} of {images} images look like another one of the split ({shown})",
        "remove copies; frames of a video count as one scene, not as so many images",
        alike,
    )


def _leak(split: str, other: str, near: Sequence[tuple[str, str]], total: int, remedy: tuple[str, str]) -> Finding:
    images = {name: partner for partner, name in reversed(near)}  # the nearest partner of each
    images = {name: images[name] for _, name in near}
    shown = ", ".join(f"{a} = {b}" for a, b in near[:3])
    fact = f"{other}: {len(images)} of {total} images look like images of {split} ({shown})"
    return Finding(
        "warning",
        "near_duplicates",
        f"{fact}, so scores on {other} are too high",
        remedy[0],
        tuple(images),
        remedy[1],
        tuple((split, partner) for partner in images.values()),
    )


def _remedy(splits: Mapping[str, Sequence[Facts]], node: Mapping[str, Any]) -> tuple[str, str]:
    """Return the remedy, and the setting that divides by scenes if the split is random and names are as scene3_007."""
    random = any(isinstance(share, float) for share in (node.get("splits") or {}).values())
    if not random or "group" not in node:
        return "move each pair to one split", ""
    named = all(re.search(SCENE, one.id) for found in splits.values() for one in found)
    words = home.typed("dataset.group", SCENE) if named and node["group"] is None else ""
    return "keep the images of a scene in one split by dataset.group, a regular expression of their names", words
