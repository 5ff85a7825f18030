"""Faults of objects, counted on annotations written by hand."""

from __future__ import annotations

import torch

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
