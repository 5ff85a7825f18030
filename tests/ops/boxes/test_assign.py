from __future__ import annotations

import pytest
import torch

from densepred.ops.boxes import assign
from densepred.ops.boxes.assign import covered, pyramid_locations
from tests.reference.slow_detection import assigned


@pytest.mark.parametrize("radius", [0.0, 1.5, 0.6])
@pytest.mark.parametrize("chunk", [50, 2**20])
def test_cells_are_given_to_boxes_as_loops_would(monkeypatch: pytest.MonkeyPatch, radius: float, chunk: int) -> None:
    monkeypatch.setattr(assign, "CHUNK", chunk)
    size, strides = (75, 101), (4, 8, 32)
    generator = torch.Generator().manual_seed(1)
    corner = torch.rand(25, 2, generator=generator) * torch.tensor([101, 75]) - 10
    boxes = torch.cat([corner, corner + 2 ** (6 * torch.rand(25, 2, generator=generator))], 1)
    boxes[3:6] = boxes[3]  # equal ones: the first of them
    boxes[7] = boxes[7].round()
    found = assign.assign(pyramid_locations(size, strides, corner=False), boxes, 6.0, radius)
    assert found.tolist() == assigned(boxes.tolist(), size, strides, 6.0, radius)  # pyright: ignore[reportArgumentType]
    assert (found >= 0).sum() > 20


def test_a_side_exactly_at_the_end_of_a_level_belongs_to_that_level() -> None:
    """torchvision gives it to no level."""
    row = pyramid_locations((16, 16), (16, 32), corner=False)
    ends = [torch.tensor([[7.5 - far, 0.5, 16.0, 16.0]]) for far in (128.0, 128.5)]
    assert [assign.assign(row, box, 8.0, 0.0)[0].item() for box in ends] == [0, -1]


def test_points_are_the_middles_of_the_pixels_of_a_cell() -> None:
    row = pyramid_locations((9, 20), (8, 16), corner=False)
    assert row.lengths == [2 * 3, 1 * 2]
    assert row.points[:4].tolist() == [[3.5, 3.5], [11.5, 3.5], [19.5, 3.5], [3.5, 11.5]]
    assert row.points[-1].tolist() == [23.5, 7.5]
    assert pyramid_locations((9, 20), (8, 16), corner=True).points[1].tolist() == [7.5, -0.5]


def test_no_box_is_for_no_cell() -> None:
    row = pyramid_locations((9, 20), (8, 16), corner=False)
    assert assign.assign(row, torch.zeros(0, 4), 8.0, 1.5).tolist() == [-1] * 8
    assert not covered(row.points, torch.zeros(0, 4)).any()


def test_a_point_is_covered_by_any_box_around_it() -> None:
    points = torch.tensor([[1.0, 1.0], [5.0, 5.0], [9.0, 1.0]])
    boxes = torch.tensor([[0.0, 0.0, 2.0, 2.0], [4.0, 0.0, 10.0, 2.0]])
    assert covered(points, boxes).tolist() == [True, False, True]
