"""Annotations as COCO's objects: frames of boxes, areas, empty masks, pixels to ignore, joints."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pycocotools import mask

from densepred.errors import UserError
from densepred.ops.score import coco_objects
from densepred.ops.score.average_precision import Objects
from densepred.types import Annotation, Info

INFO = Info(classes=("background", "car", "person"), things=(1, 2))
IDS = torch.tensor([[1, 1, 0, 3], [1, 1, 0, 3], [0, 0, 0, 3]], dtype=torch.int32)  # the second has no pixel


def pixels(objects: Objects) -> list[np.ndarray]:
    return [mask.decode({"size": list(objects.size), "counts": m}) for m in objects.masks]  # pyright: ignore


def test_boxes_begin_at_the_edge_of_the_first_pixel() -> None:
    boxes = torch.tensor([[-0.5, 1.5, 3.5, 2.5], [1.0, 1.0, 3.0, 4.0]])
    found = coco_objects.with_boxes(Annotation((3, 4), boxes=boxes, categories=torch.tensor([1, 2])), INFO)
    assert found.boxes.tolist() == [[0, 2, 4, 1], [1.5, 1.5, 2, 3]]
    assert found.areas.tolist() == [4, 6]
    assert (found.categories.tolist(), found.scores.tolist(), found.crowd.tolist()) == ([1, 2], [1, 1], [False] * 2)
    given = coco_objects.with_boxes(Annotation((3, 4), boxes=boxes), INFO, torch.tensor([7.0, 8.0]))
    assert given.areas.tolist() == [7, 8]
    assert given.categories.tolist() == [1, 1], "without categories all are of the first class of things"


def test_instances_without_pixels_have_neither_box_nor_mask() -> None:
    scores = torch.tensor([0.5, 0.25, 0.125])
    found = Annotation((3, 4), instances=IDS, categories=torch.tensor([2, 1, 1]), scores=scores)
    for objects in (coco_objects.with_boxes(found, INFO), coco_objects.with_masks(found, INFO)):
        assert (objects.categories.tolist(), objects.scores.tolist()) == ([2, 1], [0.5, 0.125])
        assert objects.areas.tolist() == [4, 3]
    assert coco_objects.with_boxes(found, INFO).boxes.tolist() == [[0, 0, 2, 2], [3, 0, 1, 3]]
    for number, decoded in zip((1, 3), pixels(coco_objects.with_masks(found, INFO)), strict=True):
        assert np.array_equal(decoded, (number == IDS).numpy())


def test_pixels_to_ignore_become_a_crowd_per_class_where_no_crowd_is_yet() -> None:
    ignore = torch.zeros(3, 4, dtype=torch.bool)
    ignore[1:, 2:] = True
    truth = Annotation((3, 4), instances=IDS, crowd=torch.tensor([False, False, True]), ignore=ignore)
    objects = coco_objects.with_ignored_regions(truth, coco_objects.with_masks(truth, INFO), [2, 1])
    assert objects.categories.tolist() == [1, 1, 2, 1]
    assert objects.crowd.tolist() == [False, True, True, True]
    assert objects.areas[2:].tolist() == [2, 2]
    assert len(objects.boxes) == len(objects.scores) == 4
    expected = np.zeros((3, 4), np.uint8)
    expected[1:, 2] = 1
    assert all(np.array_equal(found, expected) for found in pixels(objects)[2:])
    truth.ignore = IDS == 3
    assert len(coco_objects.with_ignored_regions(truth, coco_objects.with_masks(truth, INFO), [2, 1]).areas) == 2


def test_the_box_of_joints_is_around_labelled_ones_in_the_ground_truth_and_around_all_in_results() -> None:
    points = torch.tensor([[[1.0, 2, 2], [4, 7, 1], [9, 9, 0]], [[3.0, 3, 0], [5, 5, 0], [6, 6, 0]]])
    found = Annotation((20, 20), keypoints=points)
    truth, result = coco_objects.with_keypoints(found, INFO, truth=True), coco_objects.with_keypoints(found, INFO)
    assert truth.boxes.tolist() == [[1, 2, 3, 5], [0, 0, 0, 0]]
    assert truth.areas.tolist() == [15, 0]
    assert result.boxes.tolist() == [[1, 2, 8, 7]]
    assert result.keypoints is not None
    assert result.keypoints.tolist() == points[:1].tolist()
    found.boxes, found.areas = torch.tensor([[0.0, 0, 9, 9]] * 2), torch.tensor([50.0, 60.0])
    own = coco_objects.with_keypoints(found, INFO, truth=True)
    assert (own.boxes[0].tolist(), own.areas.tolist()) == ([0.5, 0.5, 9, 9], [50, 60])
    assert coco_objects.with_keypoints(found, INFO).boxes.tolist() == [[1, 2, 8, 7]]


def test_limits_are_counts_that_rise() -> None:
    assert coco_objects.detection_limits("most", [100, 1, 10, 1]) == [1, 10, 100]
    for wrong in ([], [0], [True], [1.5]):
        with pytest.raises(UserError, match=r"most: .*give integers of 1 or more"):
            coco_objects.detection_limits("most", wrong)
