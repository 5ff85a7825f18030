from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from densepred.ops.loss.hard_pixels import below_threshold, hardest_share, pixel_cross_entropy
from densepred.types import VOID
from tests.ops.loss.scenes import scene

# Probabilities 0.9, 0.1, 0.5, 0.5, 0.3, the last of weight 0.
LOSS = -torch.tensor([0.9, 0.1, 0.5, 0.5, 0.3], dtype=torch.float64).log()
WEIGHT = torch.tensor([1.0, 2.0, 0.5, 3.0, 0.0], dtype=torch.float64)


def mean(*kept: int) -> float:
    return sum(float(LOSS[i] * WEIGHT[i]) for i in kept) / sum(float(WEIGHT[i]) for i in kept)


@pytest.mark.parametrize("classes", [2, 19])
def test_losses_of_pixels_are_torchs_and_zero_where_nothing_counts(classes: int) -> None:
    logits, target, weight = scene(classes)
    numbers = torch.linspace(0.5, 3, classes, dtype=torch.float64)
    found, weights = pixel_cross_entropy(logits, target, weight, numbers)
    each = F.cross_entropy(logits, target.long(), ignore_index=VOID, reduction="none").flatten()
    assert torch.equal(found == 0, weights == 0)
    torch.testing.assert_close(found, each.where(weights > 0, 0))
    labels = target.where(target != VOID, 0).long()
    torch.testing.assert_close(weights, (weight * (target != VOID) * numbers[labels]).flatten())


@pytest.mark.parametrize(
    ("threshold", "least", "kept"),
    [
        (0.2, 0, (1,)),
        (0.2, 1, (1,)),
        (0.2, 2, (1, 2, 3)),  # pixels as hard as the last of the least count with it
        (0.6, 0, (1, 2, 3)),
        (0.6, 99, (0, 1, 2, 3)),
        (0.0, 3, (1, 2, 3)),
        (1.0, 0, (0, 1, 2, 3)),
    ],
)
def test_pixels_under_the_threshold_count_and_the_least_in_any_case(
    threshold: float, least: int, kept: tuple[int, ...]
) -> None:
    assert float(below_threshold(LOSS, WEIGHT, threshold, least)) == pytest.approx(mean(*kept))


@pytest.mark.parametrize(
    ("share", "kept"), [(1e-9, (1,)), (0.25, (1,)), (0.4, (1, 3)), (0.74, (1, 2, 3)), (1.0, (0, 1, 2, 3))]
)
def test_the_share_is_of_pixels_that_count_to_the_nearest_whole_number(share: float, kept: tuple[int, ...]) -> None:
    assert float(hardest_share(LOSS, WEIGHT, share)) == pytest.approx(mean(*kept))


def test_of_no_pixel_that_counts_both_are_zero_with_a_gradient_of_zero() -> None:
    loss = LOSS.clone().requires_grad_()
    for value in (below_threshold(loss, 0 * WEIGHT, 0.5, 3), hardest_share(loss, 0 * WEIGHT, 0.5)):
        assert value.item() == 0
        assert (torch.autograd.grad(value, loss)[0] == 0).all()


def test_gradients_reach_only_the_pixels_kept() -> None:
    assert math.isclose(float(LOSS[1]), -math.log(0.1))
    loss = LOSS.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(hardest_share(loss, WEIGHT, 0.4), loss)
    assert gradient.tolist() == pytest.approx([0, 0.4, 0, 0.6, 0])
