from __future__ import annotations

import pytest
import torch

from densepred.loss.dice import Dice
from densepred.types import VOID
from tests.reference import slow_losses


def scene() -> tuple[torch.Tensor, torch.Tensor]:
    """Class 3 is in no image, class 2 in the first only."""
    draw = torch.Generator().manual_seed(2)
    target = torch.randint(0, 3, (2, 5, 7), generator=draw, dtype=torch.uint8)
    target[1] = target[1].clamp(max=1)
    target[0, 1] = VOID
    return torch.randn(2, 4, 5, 7, generator=draw), target


@pytest.mark.parametrize("smooth", [0.0, 1.0])
@pytest.mark.parametrize("per_image", [False, True])
@pytest.mark.parametrize("include_background", [False, True])
@pytest.mark.parametrize("include_absent", [False, True])
def test_it_equals_a_loop_over_pixels(
    smooth: float, per_image: bool, include_background: bool, include_absent: bool
) -> None:
    logits, target = scene()
    weight = torch.rand(2, 5, 7)
    wanted = slow_losses.dice(logits, target, weight, smooth, per_image, include_background, include_absent)
    found = Dice(smooth, per_image, include_background, include_absent)(logits, target, weight)
    assert found.item() == pytest.approx(wanted, rel=1e-5)


def test_it_is_the_dice_loss_of_segmentation_models_pytorch() -> None:
    smp = pytest.importorskip("segmentation_models_pytorch")
    logits, _ = scene()
    target = torch.randint(0, 4, (2, 5, 7), dtype=torch.uint8)
    target.view(-1)[:4] = torch.arange(4)  # every class occurs: smp counts absent ones as perfect
    wanted = smp.losses.DiceLoss("multiclass", from_logits=True)(logits, target.long())
    torch.testing.assert_close(Dice(smooth=0.0)(logits, target), wanted)


@pytest.mark.parametrize("per_image", [False, True])
def test_a_perfect_prediction_costs_nothing(per_image: bool) -> None:
    _, target = scene()
    known = torch.where(target == VOID, 0, target).long()
    logits = 200 * torch.nn.functional.one_hot(known, 4).permute(0, 3, 1, 2).float()
    for include_absent in (False, True):
        assert Dice(per_image=per_image, include_absent=include_absent)(logits, target).item() == 0


def test_a_class_absent_from_the_target_counts_on_demand() -> None:
    logits, target = torch.zeros(1, 2, 4, 4), torch.zeros(1, 4, 4, dtype=torch.uint8)
    background = 1 - (2 * 8 + 1) / (8 + 16 + 1)
    assert Dice()(logits, target).item() == pytest.approx(background)
    assert Dice(include_absent=True)(logits, target).item() == pytest.approx((background + 1 - 1 / (8 + 1)) / 2)
    assert Dice(include_background=False)(logits, target).item() == 0


def test_sums_of_half_precision_do_not_overflow() -> None:
    logits = torch.zeros(1, 2, 512, 512, dtype=torch.float16)
    target = torch.zeros(1, 512, 512, dtype=torch.uint8)
    with torch.autocast("cpu", torch.float16):
        sums = Dice().statistics(logits, target)
    assert sums.dtype == torch.float32
    assert sums[0].tolist() == [131072, 0, 131072, 131072, 262144, 0]  # 65504 is the end of float16
