"""How the segments of two maps overlap. On the CPU: maps are numpy arrays of ids, 0 is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Counts = np.ndarray[Any, np.dtype[np.int64]]

DENSE = 1 << 22  # pairs of ids up to which they are counted in a table, which is faster than sorting the pixels


@dataclass(frozen=True, slots=True)
class Overlaps:
    """Of N predicted and M true segments the areas, and of the P pairs that share pixels, in the order of `found`."""

    found_areas: Counts  # (N,)
    truth_areas: Counts  # (M,)
    found: Counts  # (P,) from 0
    truth: Counts  # (P,) from 0
    pixels: Counts  # (P,) that they share

    @property
    def unions(self) -> Counts:
        return self.found_areas[self.found] + self.truth_areas[self.truth] - self.pixels


def overlaps(found: np.ndarray, truth: np.ndarray, count_found: int, count_truth: int) -> Overlaps:
    """Compare two maps of ids from 1 to these counts, of equal shape. Ids without pixels have an area of 0."""
    found, truth = found.reshape(-1).astype(np.int64), truth.reshape(-1).astype(np.int64)
    codes = found * (count_truth + 1) + truth
    if (count_found + 1) * (count_truth + 1) <= DENSE:
        table = np.bincount(codes, minlength=1)
        pairs = np.flatnonzero(table)
        pixels = table[pairs]
    else:
        pairs, pixels = np.unique(codes, return_counts=True)
    first, second = np.divmod(pairs, count_truth + 1)
    both = (first > 0) & (second > 0)
    return Overlaps(
        found_areas=np.bincount(found, minlength=count_found + 1)[1:],
        truth_areas=np.bincount(truth, minlength=count_truth + 1)[1:],
        found=first[both] - 1,
        truth=second[both] - 1,
        pixels=pixels[both],
    )
