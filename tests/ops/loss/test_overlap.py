from __future__ import annotations

import pytest
import torch
from torch import Tensor

from densepred.ops.loss.overlap import (
    OverlapTerm,
    counted_areas,
    dice_loss,
    generalised_dice_loss,
    overlap_sums,
    tversky_loss,
)
from densepred.types import VOID
from tests.ops.loss.scenes import check_term, scene


@pytest.mark.parametrize("classes", [2, 19])
def test_sums_are_the_areas_of_each_class_and_image(classes: int) -> None:
    logits, target, weight = scene(classes)
    found = overlap_sums(logits, target, weight).view(3, 3, classes)
    for i in range(3):
        p, known = logits[i].softmax(0), target[i] != VOID
        for k in range(classes):
            inside = (target[i] == k) & known
            areas = [(p[k] * weight[i])[inside].sum(), (p[k] * weight[i])[known].sum(), weight[i][inside].sum()]
            assert found[i, :, k].tolist() == pytest.approx([float(area) for area in areas])


@pytest.mark.parametrize("classes", [2, 3, 19])
def test_the_closed_form_of_a_band_is_autograds(classes: int) -> None:
    logits, target, weight = scene(classes)
    check_term(overlap_sums, OverlapTerm, logits, target, weight)
    check_term(overlap_sums, OverlapTerm, logits, target, None)


def areas() -> Tensor:
    """Intersections, predicted and true areas of three classes in two images; class 2 is in the first alone."""
    first, second = (
        [[6.0, 2.0, 1.0], [8.0, 4.0, 2.0], [7.0, 5.0, 2.0]],
        [[3.0, 1.0, 0.0], [4.0, 2.0, 3.0], [3.0, 6.0, 0.0]],
    )
    return torch.tensor([first, second], dtype=torch.float64).flatten(1)


def test_areas_are_those_of_the_batch_or_of_each_image() -> None:
    assert counted_areas(areas(), False, True, False)[2].tolist() == [[10, 11, 2]]
    assert counted_areas(areas(), True, True, False)[3].tolist() == [[True] * 3, [True, True, False]]
    assert counted_areas(areas(), True, False, True)[3].tolist() == [[False, True, True], [False, True, True]]
    nothing = torch.cat([areas(), torch.zeros(1, 9, dtype=torch.float64)])
    assert counted_areas(nothing, True, True, True)[3][2].tolist() == [False] * 3


def test_dice_by_hand() -> None:
    batch = [(2 * 9 + 1) / (12 + 10 + 1), (2 * 3 + 1) / (6 + 11 + 1), (2 * 1 + 1) / (5 + 2 + 1)]
    assert float(dice_loss(areas(), 1.0, False, True, False)) == pytest.approx(1 - sum(batch) / 3)
    assert float(dice_loss(areas(), 1.0, False, False, False)) == pytest.approx(1 - sum(batch[1:]) / 2)
    each = [13 / 16, 5 / 10, 3 / 5, 7 / 8, 3 / 9]
    assert float(dice_loss(areas(), 1.0, True, True, False)) == pytest.approx(1 - sum(each) / 5)
    assert float(dice_loss(areas(), 1.0, True, True, True)) == pytest.approx(1 - (sum(each) + 1 / 4) / 6)


def test_tversky_by_hand() -> None:
    each = [9 / (9 + 0.3 * 3 + 0.6 * 1), 3 / (3 + 0.3 * 3 + 0.6 * 8), 1 / (1 + 0.3 * 4 + 0.6 * 1)]
    found = tversky_loss(areas(), 0.3, 0.6, 0.0, False, True, False, 0.5)
    assert float(found) == pytest.approx(sum((1 - index) ** 0.5 for index in each) / 3)


def test_generalised_dice_by_hand() -> None:
    weights = [1 / 10**2, 1 / 11**2, 1 / 2**2]
    above = sum(w * part for w, part in zip(weights, [9, 3, 1], strict=True))
    below = sum(w * whole for w, whole in zip(weights, [22, 17, 7], strict=True))
    assert float(generalised_dice_loss(areas(), 2.0, False, True, False)) == pytest.approx(1 - 2 * above / below)
    second = [1 / 3, 1 / 6, 1 / 3]  # class 2, which is absent, takes the largest weight of the others
    above = 3 * second[0] + 1 * second[1]
    below = 7 * second[0] + 8 * second[1] + 3 * second[2]
    found = generalised_dice_loss(areas()[1:], 1.0, True, True, True)
    assert float(found) == pytest.approx(1 - 2 * above / below)


@pytest.mark.parametrize("per_image", [False, True])
def test_formulas_pass_a_check_by_differences(per_image: bool) -> None:
    given = areas().requires_grad_()
    for formula in (
        lambda x: dice_loss(x, 1.0, per_image, True, True),
        lambda x: tversky_loss(x, 0.3, 0.7, 1.0, per_image, False, True, 0.75),
    ):
        assert torch.autograd.gradcheck(formula, (given,))
