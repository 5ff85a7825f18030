from __future__ import annotations

import pytest
import torch

from densepred.ops.loss.values import differences, element_sums


@pytest.mark.parametrize("shape", [None, (2, 4, 3), (2, 1, 4, 3), (2, 5, 1, 1), (2, 5, 4, 3)])
def test_sums_of_each_image_are_those_of_a_loop_over_numbers(shape: tuple[int, ...] | None) -> None:
    draw = torch.Generator().manual_seed(0)
    pred, target = (torch.randn(2, 5, 4, 3, generator=draw, dtype=torch.float64) for _ in range(2))
    weight = None if shape is None else torch.rand(shape, generator=draw, dtype=torch.float64)
    if weight is not None:
        weight[1].view(-1)[0] = 0
    full = torch.ones(()) if weight is None else weight[:, None] if weight.ndim == 3 else weight
    full = full.expand(2, 5, 4, 3)
    found = element_sums(*(lambda d, w: (d.abs(), w))(*differences(pred, target, weight)))
    for i in range(2):
        triples = zip(pred[i].flatten().tolist(), target[i].flatten().tolist(), full[i].flatten().tolist(), strict=True)
        each = [(abs(a - b) * w, w) for a, b, w in triples]
        assert found[i].tolist() == pytest.approx([sum(e for e, _ in each), sum(w for _, w in each)])


def test_nothing_of_a_target_without_weight_is_read() -> None:
    pred = torch.randn(1, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    target, weight = torch.randn(1, 2, 3, 3, dtype=torch.float64), torch.ones(1, 3, 3)
    weight[0, 1], target[0, :, 1] = 0, float("nan")
    difference, weights = differences(pred, target, weight)
    assert (difference[:, :, 1] == 0).all()
    (gradient,) = torch.autograd.grad(element_sums(difference.square(), weights)[:, 0].sum(), pred)
    assert (gradient[:, :, 1] == 0).all()
    torch.testing.assert_close(gradient[:, :, 0], 2 * (pred - target).detach()[:, :, 0])


def test_differences_of_half_precision_are_float32() -> None:
    difference, weight = differences(torch.ones(1, 1, 2, 2, dtype=torch.float16), torch.zeros(1, 1, 2, 2), None)
    assert difference.dtype == weight.dtype == torch.float32
