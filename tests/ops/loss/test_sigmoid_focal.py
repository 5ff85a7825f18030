from __future__ import annotations

import math

import pytest
import torch
from torchvision.ops import sigmoid_focal_loss

from densepred.ops.loss.sigmoid_focal import penalty_reduced_focal, sigmoid_focal, sums
from densepred.ops.loss.values import counted


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("alpha", [None, 0.0, 0.25])
def test_each_number_is_torchvisions_for_hard_and_soft_truths(gamma: float, alpha: float | None) -> None:
    logits = torch.linspace(-6, 6, 25, dtype=torch.float64).requires_grad_()
    for truth in (torch.zeros(25), torch.ones(25), torch.linspace(0.1, 0.9, 25)):
        wanted = sigmoid_focal_loss(logits, truth.double(), -1 if alpha is None else alpha, gamma)
        found = sigmoid_focal(logits, truth.double(), alpha, gamma)
        torch.testing.assert_close(found, wanted)
        gradients = [torch.autograd.grad(value.sum(), logits)[0] for value in (found, wanted)]
        torch.testing.assert_close(*gradients)


@pytest.mark.parametrize(("alpha", "beta"), [(2.0, 4.0), (1.0, 0.0), (0.5, 1.5)])
def test_each_number_of_a_heat_map_is_the_papers(alpha: float, beta: float) -> None:
    for x in (-5.0, -0.3, 0.0, 2.0):
        p = 1 / (1 + math.exp(-x))
        for truth in (0.0, 0.3, 0.999, 1.0):
            near = -((1 - truth) ** beta) * p**alpha * math.log(1 - p)
            wanted = -((1 - p) ** alpha) * math.log(p) if truth == 1 else near
            given = (torch.tensor([x], dtype=torch.float64), torch.tensor([truth], dtype=torch.float64))
            assert penalty_reduced_focal(*given, alpha, beta).item() == pytest.approx(wanted)


@pytest.mark.parametrize("exponent", [0.0, 0.5, 0.9, 1.0, 2.0])
def test_gradients_are_finite_where_a_sigmoid_is_exact(exponent: float) -> None:
    logits = torch.tensor([20.0, -3.0, -120.0, 1.0], requires_grad=True)
    truth = torch.tensor([1.0, 0.0, 0.0, 0.0])
    for loss in (sigmoid_focal(logits, truth, 0.25, exponent), penalty_reduced_focal(logits, truth, exponent, 4)):
        (gradient,) = torch.autograd.grad(loss.sum(), logits)
        assert gradient.isfinite().all()
        assert gradient[1] > 0


def test_losses_are_divided_by_weighted_positives_of_each_image() -> None:
    loss, positive = torch.rand(2, 3, 4, 5, dtype=torch.float64), torch.zeros(2, 4, 5, dtype=torch.float64)
    positive[0, 1, 2], positive[0, 3, 0] = 1, 1
    none = sums(loss, positive, None)
    assert none.flatten().tolist() == pytest.approx([float(loss[0].sum()), 2, float(loss[1].sum()), 0])
    weight = torch.rand(2, 4, 5, dtype=torch.float64)
    found = sums(loss, positive, weight)
    wanted = [float(weight[0, 1, 2] + weight[0, 3, 0]), 0]
    assert found[:, 1].tolist() == pytest.approx(wanted)
    by_hand = [sum(float((loss[i, c] * weight[i]).sum()) for c in range(3)) for i in range(2)]
    assert found[:, 0].tolist() == pytest.approx(by_hand)
    channels = torch.stack([weight * 0.5, weight, weight * 0], 1)  # a positive counts by its largest weight
    assert sums(loss, positive, channels)[:, 1].tolist() == pytest.approx(wanted)


def test_a_truth_of_bools_takes_the_precision_of_the_logits() -> None:
    logits, truth = counted(torch.zeros(2, dtype=torch.bfloat16), torch.tensor([True, False]), None)
    assert logits.dtype == truth.dtype == torch.float32
    assert truth.tolist() == [1, 0]
