"""Faults of objects, counted on annotations written by hand."""

from __future__ import annotations

import numpy as np
import torch
from pycocotools import mask as coco_mask

from densepred.dataset import run_length
from densepred.inspection.objects import measure
from densepred.types import Annotation


def test_faulty_boxes_and_keypoints_are_counted_without_crowds() -> None:
    boxes = torch.tensor(
        [[0, 0, 9, 9], [2, 2, 2, 8], [15, 15, 30, 19], [1, 1, 3, 3], [0, 0, 99, 99]], dtype=torch.float32
    )
    points = torch.zeros(5, 1, 3)
    points[0, 0] = torch.tensor([15.0, 5.0, 2.0])
    crowd = torch.tensor([False, False, False, False, True])
    found = measure(Annotation((20, 20), boxes=boxes, keypoints=points, crowd=crowd))
    assert (found.count, found.empty, found.tiny, found.outside, found.stray) == (4, 1, 1, 1, 1)


def test_ids_without_a_pixel_are_empty() -> None:
    ids = torch.zeros(20, 20, dtype=torch.int32)
    ids[:5, :5], ids[10:12, 10:12] = 1, 3
    found = measure(Annotation((20, 20), instances=ids, categories=torch.tensor([0, 0, 0])))
    assert (found.count, found.empty, found.tiny) == (3, 1, 1)


def test_a_class_map_has_no_objects() -> None:
    assert measure(Annotation((4, 4), semantic=torch.zeros(4, 4, dtype=torch.uint8))).count is None


def test_objects_under_others_and_objects_labelled_twice_are_counted() -> None:
    whole = torch.zeros(2, 20, 20, dtype=torch.uint8)
    whole[0, :10, :10], whole[1, :5, :10] = 1, 1
    masks: list[run_length.Runs] = [dict(coco_mask.encode(np.asfortranarray(one.numpy()))) for one in whole]
    ids = run_length.instance_map(masks, torch.zeros(2, dtype=torch.bool), (20, 20))
    boxes = torch.tensor([[0, 0, 9, 9], [0, 0, 9, 4]], dtype=torch.float32)
    kinds = torch.tensor([1, 1])
    found = measure(Annotation((20, 20), instances=ids, masks=masks, boxes=boxes, categories=kinds))
    assert (found.hidden, found.twice) == (1, 0)
    again = Annotation((20, 20), boxes=boxes[[0, 0, 1]], categories=torch.tensor([1, 1, 1]))
    assert measure(again).twice == 1
    assert measure(Annotation((20, 20), boxes=boxes[[0, 0]], categories=torch.tensor([1, 2]))).twice == 0
