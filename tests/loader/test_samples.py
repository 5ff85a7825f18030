"""Samples of evaluations carry the names of their images."""

from __future__ import annotations

from pathlib import Path

from densepred.codec.pose import Pose
from densepred.codec.semantic import Semantic
from densepred.contracts import Dataset
from densepred.dataset.coco_instances import CocoInstances
from densepred.dataset.coco_keypoints import CocoKeypoints
from densepred.dataset.coco_panoptic import CocoPanoptic
from densepred.dataset.shapes import Shapes
from densepred.loader.crops import Crops
from densepred.loader.samples import EvaluationSamples
from densepred.transform.instance_crop import InstanceCrop
from densepred.transform.pipeline import Pipeline
from tests.dataset import coco_tree


def sources(data: Dataset) -> list[object]:
    found = EvaluationSamples(data, Pipeline([]), Semantic(data.info))
    return [truth.source for i in range(2) if (truth := found[i].truth) is not None]


def test_ground_truth_of_evaluations_names_its_image(tmp_path: Path) -> None:
    root = str(coco_tree.tree(tmp_path))
    assert sources(CocoInstances(root)) == [(7, "a"), (8, "b")]
    assert sources(CocoPanoptic(root)) == [(7, "a"), (8, "b")]
    assert sources(Shapes("valid", counts={"valid": 2})) == [(None, "valid/000000"), (None, "valid/000001")]
    data = CocoKeypoints(root)
    crops = Crops(data, Pipeline([InstanceCrop((64, 48))]), Pose(data.info))
    assert [crops[i].truth.source for i in range(2)] == [(7, "a"), (8, "b")]
