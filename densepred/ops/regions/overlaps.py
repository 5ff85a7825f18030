"""Overlaps of the segments of two maps. On the CPU: maps are numpy arrays of ids, 0 is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from densepred.ops.regions.pair_counts import pair_counts

Counts = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, slots=True)
class Overlaps:
    """Areas of N predicted and M ground-truth segments, and the P pairs that share pixels, ordered by `found`."""

    found_areas: Counts  # (N,)
    truth_areas: Counts  # (M,)
    found: Counts  # (P,) from 0
    truth: Counts  # (P,) from 0
    pixels: Counts  # (P,) shared pixels

    @property
    def unions(self) -> Counts:
        return self.found_areas[self.found] + self.truth_areas[self.truth] - self.pixels


def overlaps(found: np.ndarray, truth: np.ndarray, count_found: int, count_truth: int) -> Overlaps:
    """Compare two maps (H, W) of ids from 1 to these counts. Ids without pixels have an area of 0."""
    one, other = (
        torch.from_numpy(np.ascontiguousarray(ids, np.int32)) for ids in (found, truth)
    )  # torch adds no uint16
    first, second, pixels = (x.numpy() for x in pair_counts(one, other, count_found + 1, count_truth + 1))
    both = (first > 0) & (second > 0)
    return Overlaps(
        found_areas=np.bincount(found.reshape(-1), minlength=count_found + 1)[1:],
        truth_areas=np.bincount(truth.reshape(-1), minlength=count_truth + 1)[1:],
        found=first[both] - 1,
        truth=second[both] - 1,
        pixels=pixels[both],
    )
