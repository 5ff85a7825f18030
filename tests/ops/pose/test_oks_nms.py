"""Similarity of people against COCO's formula written out, and the people that are kept."""

from __future__ import annotations

import math

import pytest
import torch

from densepred.ops.pose.oks_nms import similarity, suppress

SIGMAS = torch.tensor([0.026, 0.079, 0.107])


def people(count: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    keypoints = torch.rand(count, 3, 3, generator=draw) * torch.tensor([20.0, 20.0, 1.0])
    keypoints[..., 2] = (keypoints[..., 2] > 0.3).float()
    return keypoints, 100 + 900 * torch.rand(count, generator=draw)


def test_similarity_is_cocos() -> None:
    keypoints, areas = people()
    found = similarity(keypoints, areas, SIGMAS)
    for i in range(6):
        for j in range(6):
            both = [k for k in range(3) if keypoints[i, k, 2] > 0 and keypoints[j, k, 2] > 0]
            total = 0.0
            for k in both:
                squared = float(((keypoints[i, k, :2] - keypoints[j, k, :2]) ** 2).sum())
                area = float(areas[i] + areas[j]) / 2
                total += math.exp(-squared / (2 * float(SIGMAS[k])) ** 2 / area / 2)
            assert float(found[i, j]) == pytest.approx(total / len(both) if both else 0, rel=1e-4)


def test_the_best_of_people_alike_is_kept() -> None:
    one = torch.tensor([[5.0, 5, 1], [10.0, 20, 1], [15.0, 30, 1]])
    keypoints = torch.stack([one, one + torch.tensor([0.1, 0, 0]), one + torch.tensor([40.0, 0, 0]), one])
    kept = suppress(keypoints, torch.tensor([0.5, 0.9, 0.3, 0.9]), torch.full((4,), 600.0), SIGMAS, 0.9)
    assert kept.tolist() == [1, 2]  # of equal scores the first


def test_a_chain_of_neighbours_keeps_both_ends() -> None:
    """A person that was suppressed suppresses no other."""
    one = torch.tensor([[5.0, 5, 1], [10.0, 20, 1], [15.0, 30, 1]])
    step = 1.2
    keypoints = torch.stack([one + torch.tensor([step * i, 0, 0]) for i in range(3)])
    areas = torch.full((3,), 600.0)
    alike = similarity(keypoints, areas, SIGMAS)
    threshold = float((alike[0, 1] + alike[0, 2]) / 2)
    assert suppress(keypoints, torch.tensor([0.9, 0.8, 0.7]), areas, SIGMAS, threshold).tolist() == [0, 2]


def test_no_people_give_no_people() -> None:
    empty = suppress(torch.zeros(0, 3, 3), torch.zeros(0), torch.zeros(0), SIGMAS, 0.9)
    assert empty.shape == (0,)


def test_people_without_joints_in_common_are_not_alike() -> None:
    keypoints = torch.zeros(2, 3, 3)
    assert similarity(keypoints, torch.ones(2), SIGMAS).abs().max() == 0
    assert len(suppress(keypoints, torch.tensor([0.0, 0.0]), torch.zeros(2), SIGMAS, 0.9)) == 2
