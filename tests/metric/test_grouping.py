"""Joints and whole people, counted by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from densepred.errors import UserError
from densepred.metric.grouping import Grouping, ignored
from densepred.types import Annotation, Info

NAMES = ("joint_recall", "joint_precision", "joint_f1", "whole")


def people(*rows: list[tuple[float, float, float]], **more: Any) -> Annotation:
    return Annotation((50, 200), keypoints=torch.tensor(rows).view(-1, 4, 3), **more)


def row(x: float, seen: int = 4) -> list[tuple[float, float, float]]:
    """Four joints, one under another, 30 pixels long; those after the first `seen` are unknown."""
    return [(x, 10.0 * i, 2.0) if i < seen else (0.0, 0.0, 0.0) for i in range(4)]


def scores(prediction: Annotation, truth: Annotation) -> list[float | None]:
    metric = Grouping(Info())
    metric.update([prediction], [truth])
    return [metric.compute()[name] for name in NAMES]


def test_the_ground_truth_is_whole_and_a_joint_a_tenth_of_a_person_off_is_still_hit() -> None:
    truth = people(row(10), row(60))
    assert scores(people(row(60), row(13)), truth) == [1, 1, 1, 1]
    assert scores(people(row(60), row(13.2)), truth) == [0.5, 0.5, 0.5, 0.5]


def test_two_torn_people_have_hits_from_their_larger_parts() -> None:
    """Joints 0 to 2 of one with joint 3 of the other: six of eight joints, no person whole."""
    one = [*row(10)[:3], row(60)[3]]
    two = [*row(60)[:3], row(10)[3]]
    assert scores(people(one, two), people(row(10), row(60))) == [0.75, 0.75, 0.75, 0]


def test_a_second_prediction_of_a_person_is_wrong() -> None:
    assert scores(people(row(10), row(10, 2)), people(row(10))) == [1, 4 / 6, 8 / 10, 1]


def test_without_predictions_precision_and_without_people_recall_is_undefined() -> None:
    none = people()
    assert scores(none, people(row(10))) == [0, None, 0, 0]
    assert scores(people(row(10)), none) == [None, 0, 0, None]
    assert scores(none, none) == [None] * 4


def test_crowds_people_of_two_joints_and_what_is_ignored_are_not_evaluated() -> None:
    crowd = torch.tensor([True, False, False])
    ignore = torch.zeros(50, 200, dtype=torch.bool)
    ignore[:, 100:] = True
    truth = people(row(10), row(60, 2), row(90), crowd=crowd, ignore=ignore)
    assert scores(people(row(10), row(60), row(90), row(150)), truth) == [1, 1, 1, 1]


def test_unlabelled_joints_are_no_mistakes() -> None:
    assert scores(people(row(10)), people(row(10, 3))) == [1, 1, 1, 1]


def test_parts_merge_to_the_whole() -> None:
    pairs = [(people(row(10)), people(row(10), row(60))), (people(row(3), row(5)), people(row(60)))]
    whole, parts = Grouping(Info()), [Grouping(Info()), Grouping(Info())]
    for part, (prediction, truth) in zip(parts, pairs, strict=True):
        part.update([prediction], [truth])
        whole.update([prediction], [truth])
    parts[0].merge(parts[1])
    assert parts[0].compute() == whole.compute()


def test_settings_that_count_nothing_are_refused() -> None:
    with pytest.raises(UserError, match="tolerance"):
        Grouping(Info(), tolerance=0)
    with pytest.raises(UserError, match=r"metric\.grouping\.min_keypoints: 0; give 1 or more"):
        Grouping(Info(), min_keypoints=0)


@pytest.mark.parametrize(("covered", "left_out"), [(2, True), (1, False)])
def test_a_person_is_ignored_by_half_of_the_joints_that_are_known(covered: int, left_out: bool) -> None:
    """Three joints are known at y of 0, 10 and 20; those of no position lie in the region and do not count."""
    person = torch.tensor(row(20, 3))
    region = torch.zeros(50, 200, dtype=torch.bool)
    region[: 10 * covered - 5] = True
    assert ignored(person, region) is left_out
    assert ignored(person, None) is False


def test_people_are_ignored_by_their_known_joints_alone() -> None:
    """Half of the known joints suffices; unknown ones stand at (0, 0), wherever that is."""
    region = torch.zeros(50, 200, dtype=torch.bool)
    region[:15, 100:] = True  # over joints 0 and 1 of a person there
    assert ignored(torch.tensor(row(150)), region)
    assert ignored(torch.tensor(row(150, seen=3)), region)
    region[:15] = True
    region[:15, 5:50] = False
    assert not ignored(torch.tensor(row(10, seen=2)), region), "two unknown joints in the region do not count"
