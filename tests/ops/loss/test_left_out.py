"""Locations that reach no pixel that counts, against the gradient of F.interpolate."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from densepred.ops.loss.left_out import leave_out, leave_out_coarse, pixels_that_count
from densepred.types import VOID


def test_finite_predictions_are_returned_as_they_are() -> None:
    pred = torch.randn(2, 3, 4, 5)
    assert leave_out(pred, torch.zeros(2, 1, 4, 5, dtype=torch.bool)) is pred
    assert leave_out_coarse(pred, "classes", torch.full((2, 8, 10), VOID), None) is pred


def test_only_what_does_not_count_becomes_zero() -> None:
    pred = torch.tensor([[[[torch.nan, torch.inf, 2.0]]]], requires_grad=True)
    found = leave_out(pred, torch.tensor([[[[False, True, True]]]]))
    assert found.tolist() == [[[[0, torch.inf, 2]]]]
    assert torch.autograd.grad(found.sum(), pred)[0].tolist() == [[[[0, 1, 1]]]]


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize(("coarse", "size"), [((5, 6), (20, 24)), ((5, 6), (37, 45)), ((20, 24), (9, 11))])
def test_locations_are_those_that_interpolation_reads(
    align_corners: bool, coarse: tuple[int, int], size: tuple[int, int]
) -> None:
    target = torch.full((1, *size), VOID, dtype=torch.uint8)
    target[:, : size[0] // 2, size[1] // 3 :] = 1
    ramp = torch.zeros(1, 1, *coarse, requires_grad=True)
    seen = (F.interpolate(ramp, size, mode="bilinear", align_corners=align_corners) * (target == 1)[:, None]).sum()
    (reached,) = torch.autograd.grad(seen, ramp)
    found = leave_out_coarse(torch.full((1, 2, *coarse), torch.inf), "classes", target, None, align_corners)
    assert (found == torch.inf).tolist() == (reached > 0).expand(1, 2, *coarse).tolist()


def test_pixels_count_by_any_channel_of_the_weight() -> None:
    weight = torch.zeros(1, 3, 1, 2)
    weight[0, 2, 0, 1] = 0.5
    assert pixels_that_count("values", torch.zeros(1, 3, 1, 2), weight).tolist() == [[[[False, True]]]]
    classes = torch.tensor([[[VOID, 1]]])
    assert pixels_that_count("classes", classes, torch.ones(1, 1, 2)).tolist() == [[[[False, True]]]]
