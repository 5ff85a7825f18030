"""Overlaps of two maps against a count pixel by pixel, by the table and by sorting."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from densepred.ops.regions import overlaps as module
from densepred.ops.regions import pair_counts


@pytest.mark.parametrize("dense", [1 << 22, 0])
@pytest.mark.parametrize("size", [(1, 1), (23, 31)])
def test_areas_and_shared_pixels_are_those_of_a_loop(
    monkeypatch: pytest.MonkeyPatch, dense: int, size: tuple[int, int]
) -> None:
    monkeypatch.setattr(pair_counts, "DENSE", dense)
    draw = np.random.default_rng(0)
    found, truth = draw.integers(0, 4, size).astype(np.int32), draw.integers(0, 7, size).astype(np.uint16)
    counted = module.overlaps(found, truth, 5, 9)
    pairs = Counter(zip(found.ravel().tolist(), truth.ravel().tolist(), strict=True))
    shared = {(f - 1, t - 1): number for (f, t), number in pairs.items() if f and t}
    assert dict(zip(zip(counted.found, counted.truth, strict=True), counted.pixels, strict=True)) == shared
    assert counted.found.tolist() == sorted(counted.found)
    assert counted.found_areas.tolist() == [int((found == i).sum()) for i in range(1, 6)]
    assert counted.truth_areas.tolist() == [int((truth == i).sum()) for i in range(1, 10)]
    for (f, t), union in zip(zip(counted.found, counted.truth, strict=True), counted.unions, strict=True):
        assert union == ((found == f + 1) | (truth == t + 1)).sum()


def test_maps_of_nothing_have_no_pair() -> None:
    nothing = module.overlaps(np.zeros((3, 4), np.int32), np.ones((3, 4), np.int32), 0, 1)
    assert (nothing.pixels.size, nothing.found_areas.size, nothing.truth_areas.tolist()) == (0, 0, [12])
