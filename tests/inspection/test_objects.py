"""Faults of objects, counted on annotations written by hand."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask

from densepred.cli import compose
from densepred.dataset import run_length
from densepred.inspection.inspect import inspect
from densepred.inspection.objects import measure
from densepred.types import Annotation
from tests.conftest import composed
from tests.dataset import coco_tree, labelme_tree, trees, voc_detection_tree


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


def test_a_box_without_a_mask_is_no_object_without_an_area() -> None:
    whole = np.zeros((2, 20, 20), np.uint8)
    whole[0, :5, :5] = 1
    masks: list[run_length.Runs] = [dict(coco_mask.encode(np.asfortranarray(one))) for one in whole]
    ids = run_length.instance_map(masks, torch.zeros(2, dtype=torch.bool), (20, 20))
    boxes = torch.tensor([[0, 0, 4, 4], [8, 8, 12, 12]], dtype=torch.float32)
    found = measure(Annotation((20, 20), instances=ids, masks=masks, boxes=boxes, categories=torch.tensor([1, 1])))
    assert (found.empty, found.bare) == (0, 1)
    boxes[1] = boxes[1, [0, 1, 0, 1]]
    found = measure(Annotation((20, 20), instances=ids, masks=masks, boxes=boxes, categories=torch.tensor([1, 1])))
    assert (found.empty, found.bare) == (1, 0)


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


def off_image(option: str, root: Path) -> str:
    """Draw the tree of an option with an object of the first training image beyond its right edge; return its id."""
    trees.draw(option, root)
    if option == "yolo":
        (root / "labels/train/a.txt").write_text("0 0.95 0.5 0.5 0.5\n0 0.5 0.5 0.5 0.5\n")
    elif option == "voc_detection":
        boxes = [("cat", 0, 11, 6, 55, 15), ("dog", 0, 1, 1, 5, 5)]
        (root / "Annotations/train_a.xml").write_text(voc_detection_tree.xml("train_a.jpg", *boxes))
    elif option == "labelme":
        labelme_tree.save(root, "train/a", [labelme_tree.shape("cat", [[30, 5], [60, 15]], "rectangle")])
    else:
        data = coco_tree.instances()
        data["annotations"][1]["bbox"] = [40, 5, 20, 20]
        coco_tree.save(root, "instances_train", data)
    return {
        "yolo": "images/train/a",
        "voc_detection": "JPEGImages/train_a",
        "labelme": "train/a",
        "coco_instances": "a",
    }[option]


@pytest.mark.parametrize("option", ["coco_instances", "labelme", "voc_detection", "yolo"])
def test_boxes_off_the_image_are_found_in_the_files_that_hold_them(option: str, tmp_path: Path) -> None:
    name = off_image(option, tmp_path)
    settings = compose.settings(composed(f"dataset={option}", "dataset.root=.", "data.workers=0", name="check"))
    settings.dataset["root"] = str(tmp_path)
    words = [f"dataset={option}", "dataset.root=my data", "format=json"]
    (one,) = [one for one in inspect(settings, words).findings if one.kind == "outside_objects"]
    assert (one.level, list(one.samples)) == ("warning", [name])
    assert re.match(r"train: 1 of \d are boxes or outlines that reach beyond their image, in 1 image\b", one.fact)
    assert one.override == f"densepred-convert dataset={option} 'dataset.root=my data' output=DIR form=coco"
