from __future__ import annotations

import pytest
import torch

from densepred.ops.loss.boundary import boundary_sums
from densepred.types import VOID
from tests.ops.loss.scenes import scene


@pytest.mark.parametrize("classes", [2, 19])
@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_sums_of_each_image_are_those_of_a_loop_over_classes(classes: int, background: bool, weighted: bool) -> None:
    logits, target, weight = scene(classes)
    distance = 3 * torch.randn(3, classes, 5, 7, dtype=torch.float64)
    found = boundary_sums(logits, target, weight if weighted else None, distance, background)
    for i in range(3):
        known = (target[i] != VOID) * (weight[i] if weighted else 1.0)
        lost = count = 0.0
        for k in range(0 if background else 1, classes):
            error = logits[i].softmax(0)[k] - (target[i] == k).double()
            lost += float((error * distance[i, k] * known).sum())
            count += float(known.sum())
        assert found[i].tolist() == pytest.approx([lost, count])


def test_gradients_pass_a_check_by_differences() -> None:
    logits, target, weight = scene(3)
    distance = torch.randn(3, 3, 5, 7, dtype=torch.float64)
    given = (target[:2, :2, :3], weight[:2, :2, :3], distance[:2, :, :2, :3], True)
    x = logits[:2, :, :2, :3].contiguous().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: boundary_sums(x, *given), (x,))
