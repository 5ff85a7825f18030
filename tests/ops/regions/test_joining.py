"""Pieces of blocks joined to instances, against scipy's components of the whole map."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import scipy

from densepred.ops.regions.joining import Joined, Joiner
from tests.cases import sample


def in_blocks(mask: np.ndarray, edges: list[int], margin: int, exact: bool) -> tuple[np.ndarray, Joined]:
    """Label each block of rows alone, join, and return the map of the image."""
    joiner, parts = Joiner(exact), []
    for top, bottom in pairwise(edges):
        start, stop = max(0, top - margin), min(len(mask), bottom + margin)
        ids, count = scipy.ndimage.label(mask[start:stop])
        kinds, scores = np.ones(count, np.int64), np.full(count, 0.5, np.float32)
        parts.append(joiner.add(ids.astype(np.int32), slice(top - start, bottom - start), top, kinds, scores))
    joined = joiner.joined()
    return joined.table[np.concatenate(parts)], joined


@pytest.mark.parametrize("seed", sample(range(40), 8))
@pytest.mark.parametrize("margin", [1, 3])
def test_components_of_blocks_are_those_of_the_whole_map(seed: int, margin: int) -> None:
    rng = np.random.default_rng(seed)
    height, width = int(rng.integers(1, 40)), int(rng.integers(1, 40))
    mask = rng.random((height, width)) < rng.choice([0.3, 0.55, 0.7])  # around 0.6 components meander
    cuts = sorted({0, height, *rng.integers(0, height + 1, 3).tolist()})
    found, joined = in_blocks(mask, cuts, margin, True)
    whole, count = scipy.ndimage.label(mask)
    assert len(joined.areas) == count
    assert np.array_equal(found > 0, mask)
    pairs = set(zip(found[mask].tolist(), whole[mask].tolist(), strict=True))
    assert len(pairs) == count
    for index, (down, across) in enumerate(scipy.ndimage.find_objects(found)):
        box = [across.start - 0.5, down.start - 0.5, across.stop - 0.5, down.stop - 0.5]
        assert joined.boxes[index].tolist() == box
        assert joined.areas[index] == (found == index + 1).sum()


def test_an_object_on_one_side_of_a_line_is_counted_once_and_neighbours_stay_apart() -> None:
    mask = np.zeros((12, 9), bool)
    mask[3:5, 1:3] = mask[6:9, 1:3] = mask[2:10, 5] = mask[6, 7] = True  # above, below, across, the first row below
    found, joined = in_blocks(mask, [0, 6, 12], 3, False)
    assert sorted(joined.areas.tolist()) == [1, 4, 6, 8]
    assert joined.crossing[found[2, 5] - 1]
    assert int(joined.crossing.sum()) == 1


@pytest.mark.parametrize(("exact", "score"), [(True, (4 * 0.2 + 5 * 0.8) / 9), (False, 0.8)])
def test_class_and_score_come_from_the_block_that_sees_most_and_small_instances_are_dropped(
    exact: bool, score: float
) -> None:
    joiner = Joiner(exact)
    ids = np.zeros((9, 4), np.int32)
    ids[:, 0], ids[1, 2] = 1, 2
    first = joiner.add(ids[:5], slice(0, 4), 0, np.array([3, 1]), np.array([0.2, 1.0], np.float32))
    second = joiner.add(ids[3:], slice(1, 6), 4, np.array([5, 1]), np.array([0.8, 1.0], np.float32))
    joined = joiner.joined(least=2)
    assert (joined.categories.tolist(), joined.areas.tolist()) == ([5], [9])
    assert joined.scores == pytest.approx([score])
    assert np.array_equal(joined.table[np.concatenate([first, second])], np.where(ids == 2, 0, ids))


def test_pieces_that_share_less_than_asked_stay_apart() -> None:
    above, below = np.zeros((4, 9), np.int32), np.zeros((4, 9), np.int32)
    above[:, :4], below[:, 3:] = 1, 1  # one column of four and six
    for exact, count in ((True, 1), (False, 2)):
        joiner = Joiner(exact)
        joiner.add(above, slice(0, 3), 0, np.array([1]), np.ones(1, np.float32))
        joiner.add(below, slice(1, 4), 3, np.array([1]), np.ones(1, np.float32))
        assert len(joiner.joined().areas) == count
