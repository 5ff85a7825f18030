"""Losses of areas: Tversky, focal Tversky, Jaccard, generalised Dice."""

from __future__ import annotations

import pytest
import torch

from densepred.loss.ce_dice import CrossEntropyDice
from densepred.loss.dice import Dice
from densepred.loss.focal_tversky import FocalTversky
from densepred.loss.generalised_dice import GeneralisedDice
from densepred.loss.jaccard import Jaccard
from densepred.loss.tversky import Tversky
from densepred.types import VOID, UserError
from tests.reference import slow_losses


def scene() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Class 3 is in no image, class 2 in the first only."""
    draw = torch.Generator().manual_seed(2)
    target = torch.randint(0, 3, (2, 5, 7), generator=draw, dtype=torch.uint8)
    target[1] = target[1].clamp(max=1)
    target[0, 1] = VOID
    return torch.randn(2, 4, 5, 7, generator=draw), target, torch.rand(2, 5, 7, generator=draw)


def full() -> tuple[torch.Tensor, torch.Tensor]:
    """Every class occurs: peers differ where one does not."""
    target = torch.randint(0, 4, (2, 5, 7), dtype=torch.uint8)
    target.view(-1)[:4] = torch.arange(4)
    return torch.randn(2, 4, 5, 7), target


WHICH = [(False, True, False), (True, True, True), (True, False, False), (False, False, True)]


@pytest.mark.parametrize("which", WHICH)
@pytest.mark.parametrize("smooth", [0.0, 1.0])
def test_they_equal_a_loop_over_pixels(which: tuple[bool, bool, bool], smooth: float) -> None:
    logits, target, weight = scene()
    for loss, alpha, beta, exponent in (
        (Tversky(0.3, 0.6, smooth, *which), 0.3, 0.6, 1.0),
        (FocalTversky(0.3, 0.7, 0.75, smooth, *which), 0.3, 0.7, 0.75),
        (FocalTversky(0.6, 0.4, 2.0, smooth, *which), 0.6, 0.4, 2.0),
        (Jaccard(smooth, *which), 1.0, 1.0, 1.0),
    ):
        wanted = slow_losses.tversky(logits, target, weight, alpha, beta, smooth, exponent, *which)
        assert loss(logits, target, weight).item() == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("power", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("include_absent", [False, True])
def test_generalised_dice_equals_a_loop_over_pixels(power: float, include_absent: bool) -> None:
    logits, target, weight = scene()
    wanted = slow_losses.generalised_dice(logits, target, weight, power, include_absent)
    assert GeneralisedDice(power, include_absent=include_absent)(logits, target, weight).item() == pytest.approx(
        wanted, rel=1e-5
    )
    alone = [
        slow_losses.generalised_dice(logits[i:][:1], target[i:][:1], weight[i:][:1], power, include_absent)
        for i in (0, 1)
    ]
    found = GeneralisedDice(power, per_image=True, include_absent=include_absent)(logits, target, weight)
    assert found.item() == pytest.approx(sum(alone) / 2, rel=1e-5)


def test_generalised_dice_of_large_images_keeps_its_digits() -> None:
    target = torch.zeros(1, 1024, 1024, dtype=torch.uint8)
    target[0, 0, 0] = 1
    # All probabilities 1/2, weights 1 and 1 / N^2 up to rounding: 1 - 2 (1/2) / (1 + (N + 1) / 2)
    found = GeneralisedDice()(torch.zeros(1, 2, 1024, 1024), target)
    pixels = 1024**2
    weights, areas = (1.0, 1 / (pixels - 1) ** 2), (1, pixels - 1)
    above = sum(w * a / 2 for w, a in zip(weights, areas, strict=True))
    below = sum(w * (pixels / 2 + a) for w, a in zip(weights, areas, strict=True))
    assert found.item() == pytest.approx(1 - 2 * above / below, rel=1e-6)


def test_alpha_and_beta_lead_from_dice_to_jaccard() -> None:
    logits, target, weight = scene()
    torch.testing.assert_close(Tversky(0.5, 0.5, 0.5)(logits, target, weight), Dice()(logits, target, weight))
    torch.testing.assert_close(Tversky(1.0, 1.0)(logits, target, weight), Jaccard()(logits, target, weight))
    torch.testing.assert_close(FocalTversky(exponent=1.0)(logits, target), Tversky()(logits, target))


def test_alpha_weights_false_positives_and_beta_false_negatives() -> None:
    target = torch.tensor([[[0, 0, 0, 1]]], dtype=torch.uint8)
    inventing = torch.tensor([-9.0, -9.0, 9.0, 9.0]).view(1, 1, 1, 4)
    missing = torch.full((1, 1, 1, 4), -9.0)
    heavy, light = Tversky(0.9, 0.1, include_background=False), Tversky(0.1, 0.9, include_background=False)
    assert heavy(inventing, target) > light(inventing, target)
    assert heavy(missing, target) < light(missing, target)


def test_they_are_those_of_segmentation_models_pytorch() -> None:
    smp = pytest.importorskip("segmentation_models_pytorch")
    logits, target = full()
    peers = {
        Jaccard(smooth=0.0): smp.losses.JaccardLoss("multiclass"),
        Tversky(0.3, 0.7, smooth=0.0): smp.losses.TverskyLoss("multiclass", alpha=0.3, beta=0.7),
        Tversky(0.3, 0.7, smooth=1.0): smp.losses.TverskyLoss("multiclass", alpha=0.3, beta=0.7, smooth=1.0),
    }
    for ours, peer in peers.items():
        torch.testing.assert_close(ours(logits, target), peer(logits, target.long()))
    one, binary = torch.randn(2, 1, 5, 7), torch.randint(0, 2, (2, 5, 7), dtype=torch.uint8)
    focal = smp.losses.TverskyLoss("binary", alpha=0.3, beta=0.7, gamma=0.75, smooth=1.0)
    found = FocalTversky(include_background=False)(one, binary)
    torch.testing.assert_close(found, focal(one, binary[:, None].long()))


@pytest.mark.parametrize("loss", [FocalTversky(), FocalTversky(smooth=0.0, exponent=0.5), GeneralisedDice()])
def test_gradients_are_finite_where_everything_is_right(loss: torch.nn.Module) -> None:
    target = torch.randint(0, 3, (2, 5, 7), dtype=torch.uint8)
    logits = 200 * torch.nn.functional.one_hot(target.long(), 3).permute(0, 3, 1, 2).float()
    logits.requires_grad_()
    value = loss(logits, target)
    assert value.item() == pytest.approx(0, abs=1e-6)
    assert torch.autograd.grad(value, logits)[0].isfinite().all()


def test_arguments_that_make_no_sense_are_named() -> None:
    for make, words in (
        (lambda: Tversky(alpha=-1), r"loss\.alpha: -1; give 0 or more"),
        (lambda: Tversky(beta=float("nan")), r"loss\.beta: nan"),
        (lambda: FocalTversky(exponent=0), r"loss\.exponent: 0; give a number above 0"),
        (lambda: GeneralisedDice(power=-2), r"loss\.power: -2"),
        (lambda: Dice(smooth=-1), r"loss\.smooth: -1; give 0 or more"),
        (lambda: Jaccard(smooth=float("nan")), r"loss\.smooth: nan"),
        (lambda: Tversky(smooth=-1), r"loss\.smooth"),
        (lambda: CrossEntropyDice(ce=-1), r"loss\.ce: -1"),
    ):
        with pytest.raises(UserError, match=words):
            make()
