from __future__ import annotations

import pytest
import torch
from torchvision.ops import sigmoid_focal_loss

from densepred.loss.ce import CrossEntropy
from densepred.loss.focal import Focal
from densepred.types import VOID, UserError
from tests.reference import slow_losses


@pytest.mark.parametrize("alpha", [0.25, None])
@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_one_channel_is_the_sigmoid_focal_loss_of_torchvision(alpha: float | None, gamma: float) -> None:
    logits, target = 4 * torch.randn(2, 1, 9, 7), torch.randint(0, 2, (2, 9, 7), dtype=torch.uint8)
    none = -1 if alpha is None else alpha  # torchvision's way to say it
    wanted = sigmoid_focal_loss(logits[:, 0], target.float(), none, gamma, reduction="mean")
    torch.testing.assert_close(Focal(gamma, alpha)(logits, target), wanted)


@pytest.mark.parametrize("alpha", [None, 0.3, [0.2, 1.0, 3.0]])
def test_it_equals_a_loop_over_pixels(alpha: float | list[float] | None) -> None:
    logits, target = torch.randn(2, 3, 5, 4), torch.randint(0, 3, (2, 5, 4), dtype=torch.uint8)
    target[0, 1], weight = VOID, torch.rand(2, 5, 4)
    each = alpha if isinstance(alpha, list) else [1.0] * 3 if alpha is None else [0.7, 0.3, 0.3]
    wanted = slow_losses.focal(logits, target, weight, 1.5, each)
    assert Focal(1.5, alpha)(logits, target, weight).item() == pytest.approx(wanted, rel=1e-5)


def test_gamma_zero_is_cross_entropy() -> None:
    logits, target = torch.randn(2, 3, 5, 4), torch.randint(0, 3, (2, 5, 4), dtype=torch.uint8)
    torch.testing.assert_close(Focal(gamma=0.0)(logits, target), CrossEntropy()(logits, target))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_gradients_are_finite_where_the_prediction_is_certain(gamma: float) -> None:
    logits = torch.tensor([60.0, -60.0]).view(1, 2, 1, 1).repeat(1, 1, 2, 2).requires_grad_()
    Focal(gamma)(logits, torch.tensor([[[0, 0], [0, 1]]], dtype=torch.uint8)).backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_alpha_that_does_not_fit_is_named() -> None:
    with pytest.raises(UserError, match=r"loss\.alpha has values: 2, classes: 3; give one"):
        Focal(alpha=[1.0, 2.0])(torch.zeros(1, 3, 2, 2), torch.zeros(1, 2, 2, dtype=torch.uint8))
    with pytest.raises(UserError, match=r"loss\.alpha: 2\.0"):
        Focal(alpha=2.0)
    with pytest.raises(UserError, match=r"loss\.gamma: -1"):
        Focal(gamma=-1)
