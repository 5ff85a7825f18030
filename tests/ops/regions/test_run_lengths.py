"""Run lengths against those that pycocotools encodes of each mask, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from pycocotools import mask

from densepred.ops.regions.run_lengths import run_lengths


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (13, 17)])
def test_masks_encode_as_those_of_pycocotools(size: tuple[int, int]) -> None:
    draw = np.random.default_rng(0)
    ids = draw.integers(0, 5, size).repeat(2, 0).astype(np.int32)
    height, width = ids.shape
    for number, runs in enumerate(run_lengths(ids, 6), 1):
        assert sum(runs) == ids.size
        found = mask.frPyObjects({"counts": runs, "size": [height, width]}, height, width)
        assert found["counts"] == mask.encode(np.asfortranarray(ids == number, np.uint8))["counts"]


def test_columns_are_read_first_and_a_run_of_0_begins_where_the_first_pixel_is_inside() -> None:
    ids = np.array([[1, 2, 2], [1, 0, 2]])
    assert run_lengths(ids, 3) == [[0, 2, 4], [2, 1, 1, 2], [6]]


def test_an_image_without_pixels_has_a_run_without_pixels() -> None:
    assert run_lengths(np.zeros((0, 4), np.int32), 1) == [[0]]
