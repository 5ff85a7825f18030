"""COCO's boxes by hand, and as pycocotools has them."""

from __future__ import annotations

import numpy as np
import torch
from pycocotools import mask

from densepred.ops.boxes import from_ids
from densepred.ops.boxes.coco import from_coco, to_coco


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
