"""Binary cross-entropy and its weight beta."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from densepred.loss.bce import BinaryCrossEntropy
from densepred.ops.loss import banded
from densepred.types import VOID, UserError


@pytest.mark.parametrize("pos_weight", [None, 2.5, [0.5, 1.0, 4.0]])
def test_it_is_the_binary_cross_entropy_of_torch_channel_by_channel(pos_weight: float | list[float] | None) -> None:
    logits, target = 3 * torch.randn(2, 3, 9, 7), torch.randint(0, 3, (2, 9, 7), dtype=torch.uint8)
    truth = F.one_hot(target.long(), 3).permute(0, 3, 1, 2).float()
    positive = None if pos_weight is None else torch.tensor(pos_weight).expand(3)[:, None, None]
    wanted = F.binary_cross_entropy_with_logits(logits, truth, pos_weight=positive)
    torch.testing.assert_close(BinaryCrossEntropy(pos_weight)(logits, target), wanted)


def test_one_channel_is_class_one_and_void_does_not_count() -> None:
    logits, target = torch.randn(2, 1, 9, 7), torch.randint(0, 2, (2, 9, 7), dtype=torch.uint8)
    weight = torch.rand(2, 9, 7)
    target[:, :2] = VOID
    each = F.binary_cross_entropy_with_logits(logits[:, 0, 2:], target[:, 2:].float(), reduction="none")
    wanted = (each * weight[:, 2:]).sum() / weight[:, 2:].sum()
    torch.testing.assert_close(BinaryCrossEntropy()(logits, target, weight), wanted)


def test_the_turning_point_of_beta_is_one() -> None:
    """The best constant probability of a class on a share s of the pixels is beta s / (beta s + 1 - s)."""
    target = torch.zeros(1, 10, 10, dtype=torch.uint8)
    target[0, :3] = 1
    for pos_weight in (0.5, 1.0, 2.0):
        best = torch.tensor(pos_weight * 0.3 / (pos_weight * 0.3 + 0.7)).logit()
        logits = best.expand(1, 1, 10, 10).clone().requires_grad_()
        (slope,) = torch.autograd.grad(BinaryCrossEntropy(pos_weight)(logits, target), logits)
        assert slope.sum().item() == pytest.approx(0, abs=1e-6)
        assert (best.sigmoid().item() > 0.3 + 1e-6) == (pos_weight > 1)
        assert (best.sigmoid().item() < 0.3 - 1e-6) == (pos_weight < 1)


def test_bands_in_closed_form_keep_certain_pixels_exact() -> None:
    target = torch.randint(0, 3, (1, 8, 8), dtype=torch.uint8)
    certain = 200 * F.one_hot(target.long(), 3).permute(0, 3, 1, 2).float() - 100
    loss = BinaryCrossEntropy(3.0)
    assert loss.value(banded.sums(loss, certain, target)).item() == pytest.approx(0, abs=1e-40)
    assert loss.value(banded.sums(loss, -certain, target)).item() == pytest.approx(100 * (3 + 1 + 1) / 3)


def test_a_beta_that_does_not_fit_is_named() -> None:
    for pos_weight in (0, -1.0):
        with pytest.raises(UserError, match=r"loss\.pos_weight: .*give a number above 0"):
            BinaryCrossEntropy(pos_weight)
    with pytest.raises(UserError, match=r"loss\.pos_weight has values: 2, classes: 3"):
        BinaryCrossEntropy([1.0, 2.0])(torch.zeros(1, 3, 2, 2), torch.zeros(1, 2, 2, dtype=torch.uint8))
