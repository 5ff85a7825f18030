"""COCO's boxes by hand, and as pycocotools has them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pycocotools import mask

from densepred.ops.boxes import from_ids
from densepred.ops.boxes.coco import clipped, from_coco, reaches_beyond, to_coco


def test_the_first_pixel_is_at_0_0_with_a_side_of_1() -> None:
    assert to_coco(-0.5, -0.5, 0.5, 0.5) == (0, 0, 1, 1)
    assert from_coco(0.0, 0.0, 1.0, 1.0) == (-0.5, -0.5, 0.5, 0.5)


def test_boxes_of_masks_are_those_of_pycocotools() -> None:
    ids = torch.zeros(13, 19, dtype=torch.int32)
    ids[2:7, 3:11], ids[9:, 5:6], ids[0, 0] = 1, 2, 3
    found = np.stack(to_coco(*from_ids.boxes(ids, 3).double().numpy().T), 1)
    wanted = [mask.toBbox(mask.encode(np.asfortranarray(ids == i + 1, np.uint8))).tolist() for i in range(3)]
    assert found.tolist() == wanted


def test_back_and_forth_changes_nothing() -> None:
    boxes = np.random.default_rng(0).integers(0, 200, (4, 9)) / 8
    assert np.array_equal(to_coco(*from_coco(*boxes)), boxes)


@pytest.mark.parametrize("side", range(4))
@pytest.mark.parametrize(("beyond", "far"), [(-0.25, False), (0.25, False), (0.5, False), (0.625, True), (1.5, True)])
def test_half_a_pixel_beyond_the_image_is_rounding_and_more_is_not(side: int, beyond: float, far: bool) -> None:
    """An image of height 6 and width 9 reaches from 0, 0 to 9, 6 in COCO's numbers."""
    inside = [0.0, 0.0, 9.0, 6.0]  # edges left, top, right, bottom
    edges = inside.copy()
    edges[side] += beyond if side > 1 else -beyond
    box = from_coco(edges[0], edges[1], edges[2] - edges[0], edges[3] - edges[1])
    assert reaches_beyond(box, (6, 9)) == far
    kept = clipped(box, (6, 9))
    assert kept is not None
    assert [value + 0.5 for value in kept] == (inside if far else edges)


@pytest.mark.parametrize(("x", "kept"), [(-3.0, False), (-2.875, True), (8.875, True), (9.0, False)])
def test_a_box_without_area_in_the_image_is_left_out(x: float, kept: bool) -> None:
    assert (clipped(from_coco(x, 1.0, 3.0, 2.0), (6, 9)) is not None) == kept
    assert (clipped([value - 0.5 for value in (1.0, x, 3.0, x + 3.0)], (9, 6)) is not None) == kept
