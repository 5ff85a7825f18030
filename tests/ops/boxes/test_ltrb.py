"""GIoU against torchvision's boxes in corners; centerness against the formula of its paper, point by point."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torchvision.ops import generalized_box_iou

from densepred.ops.boxes.ltrb import centerness, generalised_iou


def drawn(seed: int, count: int = 40) -> Tensor:
    return torch.rand(1, 4, count, generator=torch.Generator().manual_seed(seed)) * torch.tensor([1, 9, 4, 30])[:, None]


def corners(distances: Tensor, x: float, y: float) -> Tensor:
    left, top, right, bottom = distances[0]
    return torch.stack([x - left, y - top, x + right, y + bottom], 1)


def test_giou_is_that_of_the_corners_wherever_the_point_lies() -> None:
    one, two = drawn(0), drawn(1)
    expected = generalized_box_iou(corners(one, 3, -5).double(), corners(two, 3, -5).double()).diagonal()
    torch.testing.assert_close(generalised_iou(one, two)[0], expected.float(), atol=1e-5, rtol=1e-5)


def test_giou_of_levels_and_of_maps_are_the_same() -> None:
    one, two = drawn(2), drawn(3)
    flat = generalised_iou(one, two)
    assert torch.equal(generalised_iou(one.view(1, 4, 5, 8), two.view(1, 4, 5, 8)).flatten(1), flat)


def test_giou_of_a_box_with_itself_is_1_and_negative_distances_count_as_0() -> None:
    assert torch.equal(generalised_iou(drawn(4), drawn(4)), torch.ones(1, 40))
    box, other = torch.tensor([[2.0, 1, 2, 3]]), torch.tensor([[-7.0, 1, 2, 3]])
    assert generalised_iou(box, other).item() == 0.5
    assert generalised_iou(other, box).item() == 0.5


def test_giou_of_two_empty_boxes_is_0_and_has_a_finite_gradient() -> None:
    empty = torch.zeros(1, 4, requires_grad=True)
    value = generalised_iou(empty, torch.zeros(1, 4))
    value.backward()
    assert value.item() == 0
    assert empty.grad is not None
    assert empty.grad.isfinite().all()


def test_centerness_is_the_root_of_the_ratios_of_opposite_sides() -> None:
    distances = drawn(5)
    found = centerness(distances)[0].tolist()
    for (left, top, right, bottom), value in zip(distances[0].T.tolist(), found, strict=True):
        ratio = min(left, right) / max(left, right) * min(top, bottom) / max(top, bottom)
        assert math.isclose(value, math.sqrt(ratio), rel_tol=1e-5)


def test_centerness_is_1_at_the_center_and_0_on_a_side_or_outside() -> None:
    distances = torch.tensor([[3.0, 2, 3, 2], [0.0, 2, 6, 2], [-1.0, 2, 7, 2], [0.0, 0, 0, 0]])
    assert centerness(distances).tolist() == [1, 0, 0, 0]
