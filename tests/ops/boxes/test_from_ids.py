from __future__ import annotations

import torch

from densepred.ops.boxes import from_ids


def test_boxes_and_areas_equal_those_counted_by_hand() -> None:
    instances = torch.randint(0, 6, (37, 45), generator=torch.Generator().manual_seed(0)).int()
    instances[instances == 4] = 0
    boxes, areas = from_ids.boxes(instances, 6), from_ids.areas(instances, 6)
    for index in range(6):
        y, x = (instances == index + 1).nonzero(as_tuple=True)
        assert areas[index] == len(y)
        expected = [x.min() - 0.5, y.min() - 0.5, x.max() + 0.5, y.max() + 0.5] if len(y) else [0] * 4
        assert boxes[index].tolist() == [float(value) for value in expected]


def test_pixels_are_counted_exactly_where_float32_is_not() -> None:
    """4097 x 4097 pixels are an odd number above 2^24."""
    assert from_ids.areas(torch.ones(4097, 4097, dtype=torch.uint8), 1).tolist() == [4097**2]


def test_no_instances_give_empty_lists() -> None:
    instances = torch.zeros(3, 4, dtype=torch.int32)
    assert from_ids.boxes(instances, 0).shape == (0, 4)
    assert from_ids.areas(instances, 0).shape == (0,)
