from __future__ import annotations

from functools import partial

import pytest
import torch
import torch.nn.functional as F

from densepred.ops.loss.cross_entropy import CrossEntropyTerm, cross_entropy_sums
from densepred.types import VOID
from tests.ops.loss.scenes import check_term, scene


@pytest.mark.parametrize("classes", [2, 19])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("weighted", [False, True])
def test_sums_of_each_image_are_torchs(classes: int, smoothing: float, weighted: bool) -> None:
    logits, target, _ = scene(classes)
    numbers = torch.linspace(0.5, 3, classes, dtype=torch.float64) if weighted else None
    found = cross_entropy_sums(logits, target, None, numbers, smoothing)
    for i in range(3):
        one = (logits[i : i + 1], target[i : i + 1].long(), numbers)
        wanted = F.cross_entropy(*one, ignore_index=VOID, label_smoothing=smoothing, reduction="sum")
        known = target[i][target[i] != VOID].long()
        whole = len(known) if numbers is None else float(numbers[known].sum())
        assert found[i].tolist() == pytest.approx([float(wanted), whole])


@pytest.mark.parametrize("classes", [2, 3, 19])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_closed_form_of_a_band_is_autograds(classes: int, smoothing: float, weighted: bool) -> None:
    logits, target, weight = scene(classes)
    numbers = torch.linspace(0.5, 3, classes, dtype=torch.float64) if weighted else None

    def statistics(x: torch.Tensor, labels: torch.Tensor, w: torch.Tensor | None) -> torch.Tensor:
        return cross_entropy_sums(x, labels, w, numbers, smoothing)

    term = partial(CrossEntropyTerm, class_weights=numbers, smoothing=smoothing)
    check_term(statistics, term, logits, target, weight)
    check_term(statistics, term, logits, target, None)
