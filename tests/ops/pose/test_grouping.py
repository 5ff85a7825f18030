"""Grouping of candidates: greedy, at most one of a kind per person, over trees and loops."""

from __future__ import annotations

import pytest
import torch

from densepred.ops.heatmap.candidates import Candidates
from densepred.ops.pose.fields import part_affinity_fields
from densepred.ops.pose.grouping import GENEROUS, Connections, Rules, assemble, connect, group, pairs

CHAIN = torch.tensor([[0, 1], [1, 2], [2, 3]])
LOOP = torch.tensor([[0, 1], [1, 2], [2, 3], [3, 0]])


def joints(people: torch.Tensor, shuffle: int | None = None) -> Candidates:
    """Candidates (J,) of people (N, K, 2), sorted by kind, and within a kind in any order."""
    count, kinds = people.shape[:2]
    order = torch.arange(count)
    if shuffle is not None:
        order = torch.randperm(count, generator=torch.Generator().manual_seed(shuffle))
    points = people[order].transpose(0, 1).reshape(-1, 2)
    return Candidates(points, torch.ones(len(points)), torch.arange(kinds).repeat_interleave(count))


def field(people: torch.Tensor, limbs: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    starts, ends = people[:, limbs[:, 0]], people[:, limbs[:, 1]]
    which = torch.arange(len(limbs)).repeat(len(people))
    return part_affinity_fields(starts.flatten(0, 1), ends.flatten(0, 1), which, len(limbs), size)


def rows(people: int) -> torch.Tensor:
    """People of four joints, one below the other, bent a little."""
    x = torch.tensor([3.0, 10.2, 17.7, 25.1])
    return torch.stack([torch.stack([x, 4.0 + 6 * i + torch.tensor([0.0, 1.5, -1.0, 0.4])], 1) for i in range(people)])


def places(found: torch.Tensor, given: Candidates) -> set[tuple[float, ...]]:
    return {tuple(given.points[row].flatten().tolist()) for row in found}


@pytest.mark.parametrize("limbs", [CHAIN, LOOP])
def test_people_are_grouped_along_trees_and_loops(limbs: torch.Tensor) -> None:
    people = rows(5)
    given = joints(people, shuffle=3)
    found = group(given, field(people, limbs, (34, 30)), limbs, 4, 8, Rules())
    assert places(found.members, given) == {tuple(person.flatten().tolist()) for person in people}
    assert (found.scores > 0.9).all()


def test_pairs_are_those_of_the_kinds_that_a_limb_joins() -> None:
    first, second, limb = pairs(torch.tensor([0, 0, 1, 3, 3, 3]), LOOP, 4)
    assert list(zip(first.tolist(), second.tolist(), limb.tolist(), strict=True)) == [
        (0, 2, 0),
        (1, 2, 0),
        *[(a, b, 3) for a in (3, 4, 5) for b in (0, 1)],
    ]


def test_joints_at_one_place_are_joined_without_a_field() -> None:
    people = torch.tensor([[[20.0, 20.0], [20.0, 20.0], [30.0, 20.0], [40.0, 20.0]]])
    found = group(joints(people), field(people, CHAIN, (60, 80)), CHAIN, 4, 8, Rules())
    assert found.members.tolist() == [[0, 1, 2, 3]]
    apart = people + torch.tensor([[0.0, 0.0], [0.0, 4.0], [0.0, 4.0], [0.0, 4.0]])
    found = group(joints(apart), field(people, CHAIN, (60, 80)) * 0, CHAIN, 4, 8, Rules())
    assert found.members.shape == (0, 4)


def chained(*links: tuple[int, int, float], kinds: list[int], rules: Rules | None = None) -> list[list[int]]:
    given = Candidates(torch.zeros(len(kinds), 2), torch.ones(len(kinds)), torch.tensor(kinds))
    columns = list(zip(*links, strict=True))
    first, second = torch.tensor(columns[0]), torch.tensor(columns[1])
    linked = Connections(first, second, torch.tensor(columns[2]))
    return assemble(given, linked, 4, 3, rules or Rules()).members.tolist()


def test_no_person_gets_a_second_joint_of_a_kind_and_the_better_limb_wins() -> None:
    kinds = [0, 1, 1, 2]
    assert chained((0, 1, 0.9), (1, 3, 0.8), (0, 2, 0.7), kinds=kinds) == [[0, 1, 3, -1]]


def test_two_halves_that_share_no_kind_become_one_person() -> None:
    kinds = [0, 1, 2, 3]
    assert chained((0, 1, 0.9), (2, 3, 0.8), (1, 2, 0.7), kinds=kinds) == [[0, 1, 2, 3]]


def test_two_people_with_a_kind_in_common_stay_two() -> None:
    kinds = [0, 0, 1, 1, 2, 2]
    links = ((0, 2, 0.9), (2, 4, 0.9), (1, 3, 0.9), (3, 5, 0.9), (2, 5, 0.5))
    assert chained(*links, kinds=kinds) == [[0, 2, 4, -1], [1, 3, 5, -1]]


def test_a_merged_person_goes_on_growing() -> None:
    kinds = [0, 1, 2, 3]
    links = ((2, 3, 0.9), (0, 1, 0.8), (1, 2, 0.7), (0, 3, 0.6))
    assert chained(*links, kinds=kinds) == [[0, 1, 2, 3]]


def test_people_of_two_joints_or_little_score_are_dropped_unless_positives_are_maximised() -> None:
    kinds = [0, 1]
    assert chained((0, 1, 0.9), kinds=kinds) == []
    assert chained((0, 1, 0.9), kinds=kinds, rules=GENEROUS) == [[0, 1, -1, -1]]
    faint = Candidates(torch.zeros(3, 2), torch.full((3,), 0.1), torch.tensor([0, 1, 2]))
    links = Connections(torch.tensor([0, 1]), torch.tensor([1, 2]), torch.tensor([0.2, 0.2]))
    assert len(assemble(faint, links, 4, 3, Rules()).members) == 0
    assert len(assemble(faint, links, 4, 3, GENEROUS).members) == 1


def test_a_skeleton_of_two_joints_has_people_of_two() -> None:
    two = Candidates(torch.zeros(2, 2), torch.ones(2), torch.tensor([0, 1]))
    links = Connections(torch.tensor([0]), torch.tensor([1]), torch.tensor([0.9]))
    assert assemble(two, links, 2, 1, Rules()).members.tolist() == [[0, 1]]


def test_without_candidates_there_are_no_people() -> None:
    none = Candidates(torch.zeros(0, 2), torch.zeros(0), torch.zeros(0, dtype=torch.long))
    found = group(none, torch.zeros(6, 7, 9), CHAIN, 4, 8, Rules())
    assert found.members.shape == (0, 4)
    assert found.scores.shape == (0,)
    alone = Candidates(torch.tensor([[3.0, 2.0]]), torch.ones(1), torch.tensor([1]))
    assert len(connect(alone, torch.zeros(6, 7, 9), CHAIN, 4, 8, Rules()).first) == 0
