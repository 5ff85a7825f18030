"""Errors between keypoints against loops over people and joints."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from densepred.ops.pose.keypoint_distances import between, distances, match_people, span
from tests.reference import slow_pck


def people(count: int, joints: int = 5, seed: int = 0) -> Tensor:
    """(count, joints, 3): positions far from the origin, about a third of the joints unlabelled."""
    generator = torch.Generator().manual_seed(seed)
    keypoints = torch.rand(count, joints, 3, generator=generator) * torch.tensor([60.0, 90.0, 1.0])
    keypoints[..., :2] += torch.tensor([200.0, 300.0])
    keypoints[..., 2] = torch.randint(3, (count, joints), generator=generator).float()
    return keypoints


def as_list(keypoints: Tensor) -> list[slow_pck.Person]:
    return [[(x, y, seen) for x, y, seen in person] for person in keypoints.tolist()]


def labelled(keypoints: Tensor) -> Tensor:
    """Label the first joint of each person, so that each has one at least."""
    keypoints = keypoints.clone()
    keypoints[:, 0, 2] = 2
    return keypoints


@pytest.mark.parametrize("elsewhere", [0.0, 1e4, -1e4])
def test_unlabelled_joints_do_not_widen_the_span(elsewhere: float) -> None:
    keypoints = people(40)
    keypoints[keypoints[..., 2] == 0] = torch.tensor([elsewhere, elsewhere, 0.0])
    for found, person in zip(span(keypoints).tolist(), as_list(keypoints), strict=True):
        seen = [(x, y) for x, y, flag in person if flag > 0]
        sides = [max(values) - min(values) for values in zip(*seen, strict=True)]
        assert found == pytest.approx(max(sides, default=0.0))


def test_the_span_is_the_longer_side_and_zero_without_two_labelled_joints() -> None:
    keypoints = torch.tensor(
        [
            [[10.0, 5.0, 2.0], [13.0, 25.0, 1.0], [90.0, 90.0, 0.0]],
            [[10.0, 5.0, 2.0], [50.0, 9.0, 2.0], [20.0, -90.0, 0.0]],
            [[10.0, 5.0, 2.0], [50.0, 9.0, 0.0], [0.0, 0.0, 0.0]],
            [[10.0, 5.0, 0.0], [50.0, 9.0, 0.0], [0.0, 0.0, 0.0]],
        ]
    )
    assert span(keypoints).tolist() == [20.0, 40.0, 0.0, 0.0]
    assert span(keypoints).dtype == torch.float64
    assert span(torch.zeros(0, 3, 3)).shape == (0,)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("true", "found"), [(4, 4), (3, 6), (5, 2)])
def test_matches_are_those_of_a_loop_that_takes_the_nearest_pair_first(true: int, found: int, seed: int) -> None:
    truth = labelled(people(true, seed=seed))
    generator = torch.Generator().manual_seed(seed + 100)
    others = people(found, seed=seed + 50)
    for i in range(min(true, found) - 1):  # all but one lie near a labelled person
        others[i, :, :2] = truth[-1 - i, :, :2] + 8 * torch.randn(5, 2, generator=generator)
    assert match_people(others, truth).tolist() == slow_pck.mates(as_list(others), as_list(truth))


def test_a_person_without_a_joint_nearer_than_its_length_is_not_matched() -> None:
    truth = torch.tensor([[[0.0, 0.0, 2.0], [0.0, 20.0, 2.0]]])
    beside = truth + torch.tensor([19.0, 0.0, 0.0])
    beyond = truth + torch.tensor([21.0, 0.0, 0.0])
    assert match_people(beside, truth).tolist() == [0]
    assert match_people(beyond, truth).tolist() == [-1]
    assert match_people(beside * torch.tensor([1.0, 1.0, 0.0]), truth).tolist() == [-1]
    assert match_people(beside * torch.nan, truth).tolist() == [-1]
    assert match_people(torch.zeros(0, 2, 3), truth).tolist() == [-1]
    assert match_people(beside, truth[:0]).shape == (0,)


def test_the_errors_of_joints_are_distances_infinite_where_missed_and_nan_where_unlabelled() -> None:
    truth, found = people(6, seed=1), people(4, seed=2)
    found[0, 0, :2] = torch.nan
    mates = torch.tensor([2, -1, 0, 3, -1, 1])
    have = distances(found, truth, mates)
    assert have.dtype == torch.float64
    kinds = set()
    for t, (person, mate) in enumerate(zip(as_list(truth), mates.tolist(), strict=True)):
        for k, (x, y, seen) in enumerate(person):
            value = have[t, k].item()
            if seen == 0:
                assert math.isnan(value)
                kinds.add("unlabelled")
            elif mate < 0 or found[mate, k, 2] == 0 or found[mate, k].isnan().any():
                assert value == math.inf
                kinds.add("missed")
            else:
                u, v, _ = found[mate, k].tolist()
                assert value == pytest.approx(math.hypot(x - u, y - v))
                kinds.add("found")
    assert kinds == {"unlabelled", "missed", "found"}


def test_without_predictions_every_labelled_joint_is_missed() -> None:
    truth = people(3)
    have = distances(torch.zeros(0, 5, 3), truth, torch.full((3,), -1))
    assert have[truth[..., 2] > 0].isposinf().all()
    assert have[truth[..., 2] == 0].isnan().all()


def test_two_joints_of_a_person_are_apart_where_both_are_labelled() -> None:
    keypoints = people(30)
    for found, person in zip(between(keypoints, 3, 1).tolist(), as_list(keypoints), strict=True):
        if person[3][2] > 0 and person[1][2] > 0:
            assert found == pytest.approx(math.hypot(person[3][0] - person[1][0], person[3][1] - person[1][1]))
        else:
            assert math.isnan(found)
