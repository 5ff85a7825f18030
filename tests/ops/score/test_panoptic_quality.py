"""Ids and matches of segments, by hand and pixel by pixel. Scores: tests/metric/test_panoptic_quality.py."""

from __future__ import annotations

import torch

from densepred.ops.score.panoptic_quality import Regions, match, regions
from densepred.types import VOID


def row(semantic: list[int], owner: list[int], categories: list[int], crowd: list[bool] | None = None) -> Regions:
    return regions(
        torch.tensor([semantic], dtype=torch.uint8),
        torch.tensor([owner], dtype=torch.int32),
        torch.tensor(categories),
        stuff=(0, 1),
        crowd=None if crowd is None else torch.tensor(crowd),
    )


def test_each_id_has_the_class_of_its_segment_and_things_without_instance_have_none() -> None:
    found = row([0, 1, 3, 3, 2, VOID], [0, 0, 1, 2, 0, 0], [3, 2], crowd=[False, True])
    assert found.classes[found.ids[0]].tolist() == [0, 1, 3, 2, -1, -1]
    assert found.crowd[found.ids[0]].tolist() == [False, False, False, True, False, False]
    assert len(found.ids.unique()) == 6


def test_ignored_pixels_are_of_no_segment_unless_a_crowd_covers_them() -> None:
    ignore = torch.tensor([[True, True, True, False]])
    found = regions(
        torch.zeros(1, 4, dtype=torch.uint8), torch.tensor([[0, 1, 2, 2]]), torch.tensor([3, 3]), (0,),
        crowd=torch.tensor([False, True]), ignore=ignore,
    )  # fmt: skip
    assert found.classes[found.ids[0]].tolist() == [-1, -1, 3, 3]


def test_only_segments_of_one_class_with_an_iou_above_a_half_match() -> None:
    truth = row([0] * 4 + [3] * 6, [0] * 4 + [1] * 3 + [2] * 3, [3, 3])
    guess = row([0] * 4 + [3] * 6, [0] * 4 + [1] * 3 + [2] * 3, [2, 3])
    found = match(truth, guess)
    assert dict(zip(found.hits.tolist(), found.overlaps.tolist(), strict=True)) == {0: 1.0, 3: 1.0}
    assert (found.wrong.tolist(), found.missed.tolist()) == ([2], [3])
    half = match(row([3] * 6, [1, 1, 0, 0, 0, 0], [3]), row([3] * 6, [0, 1, 1, 0, 0, 0], [3]))
    assert (half.hits.size, half.missed.tolist()) == (0, [3])


def test_void_leaves_the_union_of_one_class_only_by_what_the_prediction_has_on_it() -> None:
    truth = row([1] * 4 + [VOID] * 4 + [0, 0], [0] * 10, [])
    guess = row([1, 1, 1, 0] + [1] * 3 + [0] * 3, [0] * 10, [])
    found = match(truth, guess)
    # Of class 1: 3 pixels shared, 4 true, 6 predicted, of which 3 on void. Of class 0: 2 shared, 2 true, 1 + 1 more.
    assert dict(zip(found.hits.tolist(), found.overlaps.tolist(), strict=True)) == {1: 3 / 4, 0: 2 / 3}


def test_void_and_crowds_of_its_class_together_excuse_a_prediction() -> None:
    truth = row([3] * 2 + [VOID] + [0] * 2 + [1], [1, 1, 0, 0, 0, 0], [3], crowd=[True])
    for category, wrong in ((3, []), (2, [2])):
        guess = row([0] * 6, [0, 1, 1, 1, 0, 0], [category])
        assert [c for c in match(truth, guess).wrong.tolist() if c > 1] == wrong
    assert 3 not in match(truth, row([0] * 6, [0] * 6, [])).missed
