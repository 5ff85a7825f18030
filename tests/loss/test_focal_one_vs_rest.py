"""Focal loss of every class against the rest."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision.ops import sigmoid_focal_loss

from densepred.loss.focal import Focal
from densepred.loss.focal_one_vs_rest import FocalOneAgainstRest
from densepred.loss.one_vs_rest import OneAgainstRest
from densepred.types import VOID, UserError
from tests.reference import slow_losses


def case() -> tuple[torch.Tensor, torch.Tensor]:
    target = torch.randint(0, 3, (2, 5, 4), dtype=torch.uint8)
    target[0, 1] = VOID
    return 2 * torch.randn(2, 3, 5, 4), target


@pytest.mark.parametrize("alpha", [None, 0.2])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_it_is_the_formula_of_the_lecture_in_numpy(alpha: float | None, gamma: float) -> None:
    (logits, target), weight = case(), torch.rand(2, 5, 4)
    double = logits.double().numpy()
    wanted = slow_losses.focal_one_vs_rest(double, target.numpy(), weight.double().numpy(), gamma, alpha or 0.5)
    wanted *= 1 if alpha else 2  # without alpha both kinds of pixels weigh 1
    assert FocalOneAgainstRest(gamma, alpha)(logits, target, weight).item() == pytest.approx(wanted, rel=1e-5)


def test_it_is_the_mean_over_classes_of_torchvisions_binary_losses() -> None:
    logits, target = case()
    known = target != VOID
    each = [
        sigmoid_focal_loss(logits[:, k][known], (target == k).float()[known], alpha, 1.5, reduction="mean")
        for k, alpha in enumerate([0.25, 0.5, 0.9])
    ]
    torch.testing.assert_close(FocalOneAgainstRest(1.5, [0.25, 0.5, 0.9])(logits, target), sum(each) / 3)


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
def test_gamma_zero_is_one_against_the_rest(activation: str) -> None:
    logits, target = case()
    wanted = OneAgainstRest(activation)(logits, target) / 3
    torch.testing.assert_close(FocalOneAgainstRest(0.0, activation=activation)(logits, target), wanted)


def test_a_softmax_of_two_classes_is_the_focal_loss_of_the_softmax() -> None:
    target = torch.randint(0, 2, (2, 5, 4), dtype=torch.uint8)
    for channels in (1, 2):
        logits = torch.randn(2, channels, 5, 4)
        wanted = Focal(2.0)(logits, target)
        torch.testing.assert_close(FocalOneAgainstRest(2.0, activation="softmax")(logits, target), wanted)


def test_a_larger_alpha_raises_the_loss_of_missed_pixels_and_lowers_that_of_false_alarms() -> None:
    certainly_wrong = torch.full((1, 1, 1, 1), 3.0)
    alarm, missed = torch.zeros(1, 1, 1, dtype=torch.uint8), torch.ones(1, 1, 1, dtype=torch.uint8)
    low, high = FocalOneAgainstRest(alpha=0.2), FocalOneAgainstRest(alpha=0.8)
    assert high(-certainly_wrong, missed) == pytest.approx(4 * low(-certainly_wrong, missed).item())
    assert low(certainly_wrong, alarm) == pytest.approx(4 * high(certainly_wrong, alarm).item())


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_gradients_are_finite_where_the_prediction_is_certain(gamma: float, activation: str) -> None:
    logits = torch.tensor([200.0, -200.0, 0.0]).view(1, 3, 1, 1).repeat(1, 1, 2, 2).requires_grad_()
    target = torch.tensor([[[0, 0], [1, 2]]], dtype=torch.uint8)
    FocalOneAgainstRest(gamma, activation=activation)(logits, target).backward()
    assert logits.grad is not None
    assert np.isfinite(logits.grad.numpy()).all()


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(UserError, match=r"loss\.alpha: 1\.5; give a number from 0 to 1"):
        FocalOneAgainstRest(alpha=[0.5, 1.5])
    with pytest.raises(UserError, match=r"loss\.activation: tanh; choose one of sigmoid, softmax"):
        FocalOneAgainstRest(activation="tanh")
