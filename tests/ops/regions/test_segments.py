"""Segments against slow loops, and growing by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from densepred.ops.regions import segments
from densepred.ops.regions.components import components
from tests.reference import slow_segments


def cells(seed: int, shape: tuple[int, int] = (18, 23)) -> np.ndarray:
    """Smooth blobs: components of many sizes."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 1.3)
    return noise > -0.05


def same_partition(a: np.ndarray, b: np.ndarray) -> bool:
    pairs = {(int(x), int(y)) for x, y in zip(a.ravel(), b.ravel(), strict=True)}
    return len(pairs) == len({x for x, _ in pairs}) == len({y for _, y in pairs})


def test_growing_by_hand() -> None:
    labels = np.array([[1, 0, 0, 0, 2, 0, 0, 3]])
    assert segments.thinned(labels).tolist() == [[1, 1, 0, 2, 2, 2, 0, 3]]
    assert segments.thinned(np.zeros((2, 3), np.int64)).tolist() == [[1] * 3] * 2
    assert segments.thinned(np.array([[4, 0], [0, 0]])).tolist() == [[4, 4], [4, 4]]


@pytest.mark.parametrize("seed", range(6))
def test_grown_segments_are_parted_by_thin_lines_alone(seed: int) -> None:
    before = components(cells(seed, (40, 52)) & cells(seed + 50, (40, 52)))[0]
    after = segments.thinned(before)
    assert np.array_equal(after[before > 0], before[before > 0])
    for label in range(1, before.max() + 1):
        assert slow_segments.fill(after == label).max() == 1, "a segment grew in one piece"
    for axis in (0, 1):
        one, other = np.swapaxes(after, 0, axis)[:-1], np.swapaxes(after, 0, axis)[1:]
        assert not ((one > 0) & (other > 0) & (one != other)).any(), "two segments touch"
    ring = np.pad(after, 1)
    beside = np.stack([ring[:-2, 1:-1], ring[2:, 1:-1], ring[1:-1, :-2], ring[1:-1, 2:]])
    most, least = beside.max(0), np.where(beside > 0, beside, beside.max(0)).min(0)
    assert not ((after == 0) & (most == least) & (most > 0) & (beside > 0).all(0)).any(), "a 0 inside one segment"
    assert (after == 0).mean() < 0.5


@pytest.mark.parametrize("seed", range(4))
def test_agreement_equals_a_loop_over_pairs(seed: int) -> None:
    truth, found = components(cells(seed))[0], components(cells(seed) & cells(seed + 9))[0]
    if seed == 3:
        found = segments.thinned(found)
    result = segments.agreement(found, truth)
    assert (result.both, result.truth, result.found) == slow_segments.rand(found, truth)
    expected = slow_segments.information(found, truth)
    assert (result.information, result.found_entropy, result.truth_entropy) == pytest.approx(expected, abs=1e-12)
