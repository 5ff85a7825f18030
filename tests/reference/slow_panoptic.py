"""Panoptic quality by the words of its definition: segments as sets of pixels, every pair of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

VOID = 255
Pixels = set[tuple[int, int]]


@dataclass
class Segment:
    category: int
    pixels: Pixels
    crowd: bool = False


def segments(
    semantic: np.ndarray, instances: np.ndarray, categories: list[int], things: list[int], crowd: list[bool]
) -> list[Segment]:
    found = [Segment(c, where(instances == i + 1), crowd[i]) for i, c in enumerate(categories)]
    stuff = [c for c in np.unique(semantic).tolist() if c != VOID and c not in things]
    found += [Segment(c, where((instances == 0) & (semantic == c))) for c in stuff]
    return [segment for segment in found if segment.pixels]


def where(mask: np.ndarray) -> Pixels:
    return set(zip(*(axis.tolist() for axis in np.nonzero(mask)), strict=True))


def count(truth: list[Segment], found: list[Segment], everything: Pixels) -> dict[int, tuple[list[float], int, int]]:
    """For each class the IoUs of its matches, how many predictions are wrong and how many truths are missed."""
    void = everything.difference(*(segment.pixels for segment in truth))
    result: dict[int, tuple[list[float], int, int]] = {}

    def add(category: int, ious: list[float], wrong: int, missed: int) -> None:
        old = result.get(category, ([], 0, 0))
        result[category] = (old[0] + ious, old[1] + wrong, old[2] + missed)

    mates = []
    for t in truth:
        for p in found:
            iou = len(t.pixels & p.pixels) / len((t.pixels | p.pixels) - (p.pixels & void))
            if not t.crowd and t.category == p.category and iou > 0.5:
                add(t.category, [iou], 0, 0)
                mates += [id(t), id(p)]
    for t in truth:
        if id(t) not in mates and not t.crowd:
            add(t.category, [], 0, 1)
    for p in found:
        crowds = [t.pixels for t in truth if t.crowd and t.category == p.category]
        if id(p) not in mates and len(p.pixels & void.union(*crowds)) <= len(p.pixels) / 2:
            add(p.category, [], 1, 0)
    return result


def scores(ious: list[float], wrong: int, missed: int) -> tuple[float, float, float]:
    """PQ, SQ, RQ."""
    whole = len(ious) + wrong / 2 + missed / 2
    return sum(ious) / whole, sum(ious) / max(1, len(ious)), len(ious) / whole
