"""Hard keypoint mining against its published form, written out slowly."""

from __future__ import annotations

import pytest
import torch

from densepred.errors import UserError
from densepred.loss.mse import MeanSquaredError
from densepred.loss.ohkm import HardKeypoints


def maps(joints: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    return torch.randn(3, joints, 8, 6, generator=draw), torch.rand(3, joints, 8, 6, generator=draw)


def test_it_is_the_mean_over_the_hardest_joints_of_each_crop() -> None:
    """JointsOHKMMSELoss of HRNet without its factor of one half."""
    pred, target = maps()
    total = 0.0
    for one, truth in zip(pred, target, strict=True):
        each = [float(((a - b) ** 2).mean()) for a, b in zip(one, truth, strict=True)]
        total += sum(sorted(each)[-2:]) / 2
    assert float(HardKeypoints(2)(pred, target)) == pytest.approx(total / 3, rel=1e-5)


def test_all_joints_are_the_mean_squared_error() -> None:
    pred, target = maps()
    weight = torch.tensor([1.0, 1, 0, 1, 1]).view(1, 5, 1, 1).expand(3, -1, -1, -1)
    for given in (None, weight):
        expected = MeanSquaredError()(pred, target, given)
        torch.testing.assert_close(HardKeypoints(99)(pred, target, given), expected)


def test_unlabelled_joints_are_never_chosen() -> None:
    pred, target = maps()
    weight = torch.ones(3, 5, 1, 1)
    weight[:, 1] = 0
    pred[:, 1] = torch.nan
    kept = [0, 2, 3, 4]
    expected = HardKeypoints(2)(pred[:, kept], target[:, kept])
    torch.testing.assert_close(HardKeypoints(2)(pred, target, weight), expected)


def test_only_the_chosen_joints_learn() -> None:
    pred, target = maps()
    pred.requires_grad_()
    HardKeypoints(1)(pred, target).backward()
    assert pred.grad is not None
    assert ((pred.grad != 0).any(-1).any(-1).sum(1) == 1).all()


def test_less_than_a_joint_is_refused() -> None:
    with pytest.raises(UserError, match="joints"):
        HardKeypoints(0)


def test_count_divides_by_the_chosen_joints_even_if_they_are_hidden() -> None:
    """JointsOHKMMSELoss of HRNet without its factor of one half: a crop with one shown joint still divides by three."""
    pred, target = maps()
    weight = torch.ones(3, 5, 1, 1)
    weight[1, 1:] = 0
    total = 0.0
    for one, truth, seen in zip(pred, target, weight, strict=True):
        each = [float(((a - b) ** 2).mean()) * float(w) for a, b, w in zip(one, truth, seen, strict=True)]
        total += sum(sorted(each)[-3:]) / 3
    found = HardKeypoints(3, "count")(pred, target, weight.expand(-1, -1, 8, 6))
    assert float(found) == pytest.approx(total / 3, rel=1e-5)
