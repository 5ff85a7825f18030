"""Cross-entropy of every class against the rest."""

from __future__ import annotations

import pytest
import torch

from densepred.loss.bce import BinaryCrossEntropy
from densepred.loss.ce import CrossEntropy
from densepred.loss.one_vs_rest import OneAgainstRest
from densepred.types import VOID, UserError
from tests.reference import slow_losses


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
@pytest.mark.parametrize("weights", [None, [0.5, 2.0, 1.0]])
def test_it_equals_a_loop_over_pixels(activation: str, weights: list[float] | None) -> None:
    logits, target = 2 * torch.randn(2, 3, 5, 4), torch.randint(0, 3, (2, 5, 4), dtype=torch.uint8)
    target[0, 1], weight = VOID, torch.rand(2, 5, 4)
    wanted = slow_losses.one_vs_rest(logits, target, weight, activation == "softmax", weights or [1.0] * 3)
    assert OneAgainstRest(activation, weights)(logits, target, weight).item() == pytest.approx(wanted, rel=1e-5)


def test_sigmoids_give_the_binary_cross_entropy_times_the_channels() -> None:
    logits, target = torch.randn(2, 4, 5, 4), torch.randint(0, 4, (2, 5, 4), dtype=torch.uint8)
    torch.testing.assert_close(OneAgainstRest()(logits, target), 4 * BinaryCrossEntropy()(logits, target))


def test_a_softmax_of_two_classes_counts_every_error_twice() -> None:
    target = torch.randint(0, 2, (2, 5, 4), dtype=torch.uint8)
    for channels in (1, 2):
        logits = torch.randn(2, channels, 5, 4)
        wanted = 2 * CrossEntropy()(logits, target)
        torch.testing.assert_close(OneAgainstRest("softmax")(logits, target), wanted)


def test_a_softmax_that_is_certainly_wrong_has_a_finite_slope() -> None:
    logits = torch.tensor([90.0, -90.0, 0.0]).view(1, 3, 1, 1).requires_grad_()
    loss = OneAgainstRest("softmax")(logits, torch.ones(1, 1, 1, dtype=torch.uint8))
    assert loss.item() == pytest.approx(
        180 + 90
    )  # -log p of class 1, and -log(1 - p) of class 0, against the rest, class 2
    assert torch.autograd.grad(loss, logits)[0].flatten().tolist() == pytest.approx([2, -1, -1])


def test_an_unknown_activation_is_refused() -> None:
    with pytest.raises(UserError, match=r"loss\.activation: tanh; choose one of sigmoid, softmax"):
        OneAgainstRest("tanh")
