from __future__ import annotations

from functools import partial

import pytest
import torch

from densepred.ops.loss.focal import FocalTerm, focal_sums
from tests.ops.loss.scenes import check_term, scene
from tests.reference import slow_losses


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_sums_of_each_image_are_those_of_a_loop_over_pixels(gamma: float) -> None:
    logits, target, weight = scene(3)
    alpha = [0.2, 1.0, 3.0]
    found = focal_sums(logits, target, weight, torch.tensor(alpha, dtype=torch.float64), gamma)
    for i in range(2):
        wanted = slow_losses.focal(logits[i:][:1], target[i:][:1], weight[i:][:1], gamma, alpha)
        assert float(found[i, 0] / found[i, 1]) == pytest.approx(wanted)
        assert float(found[i, 1]) == pytest.approx(float((weight[i] * (target[i] != 255)).sum()))
    assert (found[2] == 0).all()


@pytest.mark.parametrize("classes", [2, 3, 19])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.5])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_closed_form_of_a_band_is_autograds(classes: int, gamma: float, weighted: bool) -> None:
    logits, target, weight = scene(classes)
    alpha = torch.linspace(0.5, 3, classes, dtype=torch.float64) if weighted else None

    def statistics(x: torch.Tensor, labels: torch.Tensor, w: torch.Tensor | None) -> torch.Tensor:
        return focal_sums(x, labels, w, alpha, gamma)

    check_term(statistics, partial(FocalTerm, alpha=alpha, gamma=gamma), logits, target, weight)
    check_term(statistics, partial(FocalTerm, alpha=alpha, gamma=gamma), logits, target, None)
