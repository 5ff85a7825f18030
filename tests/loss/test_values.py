"""Losses of heads that regress: mse and l1."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from densepred.loss.l1 import AbsoluteError
from densepred.loss.mse import MeanSquaredError
from densepred.types import UserError


def test_they_are_those_of_torch() -> None:
    pred, target = torch.randn(2, 3, 9, 7), torch.randn(2, 3, 9, 7)
    torch.testing.assert_close(MeanSquaredError()(pred, target), F.mse_loss(pred, target))
    torch.testing.assert_close(AbsoluteError()(pred, target), F.l1_loss(pred, target))
    torch.testing.assert_close(AbsoluteError(0.7)(pred, target), F.smooth_l1_loss(pred, target, beta=0.7))


@pytest.mark.parametrize("shape", [(2, 9, 7), (2, 1, 9, 7), (2, 3, 1, 1), (2, 3, 9, 7)])
def test_weights_of_pixels_and_of_channels_weigh_the_mean(shape: tuple[int, ...]) -> None:
    pred, target, weight = torch.randn(2, 3, 9, 7), torch.randn(2, 3, 9, 7), torch.rand(shape)
    full = (weight[:, None] if len(shape) == 3 else weight).expand(2, 3, 9, 7)
    wanted = ((pred - target).square() * full).sum() / full.sum()
    torch.testing.assert_close(MeanSquaredError()(pred, target, weight), wanted)


def test_count_divides_as_the_program_of_hrnet() -> None:
    """JointsMSELoss without its factor of one half, written out: hidden joints are means of zeros."""
    pred, target = torch.randn(3, 4, 6, 5), torch.rand(3, 4, 6, 5)
    shown = torch.tensor([[1.0, 0, 1, 1], [1, 1, 0, 0], [0, 1, 1, 1]])
    total = 0.0
    for joint in range(4):
        errors = [
            ((a - b) * seen).square().mean().item()
            for a, b, seen in zip(pred[:, joint], target[:, joint], shown[:, joint], strict=True)
        ]
        total += sum(errors) / 3
    weight = shown[:, :, None, None]
    assert MeanSquaredError("count")(pred, target, weight).item() == pytest.approx(total / 4, rel=1e-5)
    assert MeanSquaredError()(pred, target, weight).item() == pytest.approx(total / 4 * 12 / 8, rel=1e-5)


def test_an_unknown_divisor_is_refused() -> None:
    with pytest.raises(UserError, match=r"loss\.normalise: sum; choose one of weights, count"):
        MeanSquaredError("sum")


def test_what_stands_where_the_weight_is_zero_does_not_matter() -> None:
    pred, target, weight = torch.randn(1, 2, 4, 4, requires_grad=True), torch.randn(1, 2, 4, 4), torch.ones(1, 4, 4)
    weight[0, 0], target[0, :, 0] = 0, float("nan")
    for loss in (MeanSquaredError(), AbsoluteError(), AbsoluteError(1.0)):
        value = loss(pred, target, weight)
        assert value.isfinite()
        assert torch.autograd.grad(value, pred)[0].isfinite().all()


def test_a_negative_beta_is_refused() -> None:
    with pytest.raises(UserError, match=r"loss\.beta: -1"):
        AbsoluteError(-1)
