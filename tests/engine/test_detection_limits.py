"""Notices about limits: those that the ground truth exceeds and, without it, those that predictions reach."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import partial

import pytest
import torch

from densepred.codec.center_detection import CenterDetection
from densepred.codec.components import Components
from densepred.codec.fcos import FCOS
from densepred.codec.openpose import OpenPose
from densepred.codec.panoptic import Panoptic
from densepred.contracts import Codec
from densepred.engine.detection_limits import ObjectCounts, count_objects, limits, tell, tell_of_full
from densepred.errors import Notice
from densepred.loss.ce import CrossEntropy
from densepred.loss.l1 import AbsoluteError
from densepred.loss.mse import MeanSquaredError
from densepred.metric.mask_ap import MaskAp
from densepred.task import Task
from densepred.types import Annotation, Frame, Info

SIZE = (32, 48)
FIELDS = ("semantic", "instances", "categories", "boxes", "keypoints")
INFO = Info(classes=("background", "cell"), things=(1,), keypoints=("a", "b"), limbs=((0, 1),), provides=FIELDS)


def cells(count: int) -> Annotation:
    """Draw squares of 3 x 3 pixels in a grid, each with a box and two keypoints."""
    ids = torch.zeros(SIZE, dtype=torch.int32)
    boxes, points = [], []
    for i in range(count):
        y, x = 8 * (i // 6), 8 * (i % 6)
        ids[y : y + 3, x : x + 3] = i + 1
        boxes.append([x - 0.5, y - 0.5, x + 2.5, y + 2.5])
        points.append([[x + 0.0, y, 2], [x + 2.0, y, 2]])
    return Annotation(
        SIZE,
        semantic=(ids > 0).byte(),
        instances=ids,
        categories=torch.ones(count, dtype=torch.int64),
        boxes=torch.tensor(boxes).view(-1, 4),
        keypoints=torch.tensor(points).view(-1, 2, 3),
    )


def panoptic(most: int, detections: int) -> Task:
    return Task(
        INFO,
        partial(Panoptic, sigma=1.0, kernel=3, max_detections=most),
        {"semantic": CrossEntropy(), "center": MeanSquaredError(), "offset": AbsoluteError()},
        metrics={"mask_ap": partial(MaskAp, max_detections=[1, detections])},
        monitor="ap",
    )


@pytest.fixture
def heard() -> Iterator[list[warnings.WarningMessage]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield caught


def test_objects_are_counted_per_image_and_class_without_crowds() -> None:
    truth = cells(5)
    truth.categories = torch.tensor([0, 1, 1, 1, 0])
    assert count_objects(truth) == ObjectCounts(5, 3, 5, 9, 9 / (32 * 48))
    truth.crowd = torch.tensor([False, True, True, False, False])
    assert truth.keypoints is not None
    truth.keypoints[0] = 0
    assert count_objects(truth) == ObjectCounts(3, 2, 2, 9, 9 / (32 * 48))
    assert count_objects(Annotation(SIZE)) == ObjectCounts(0, 0, 0, 0)
    most = ObjectCounts(1, 1, 1)
    most.add([truth, cells(4)])
    assert most == ObjectCounts(4, 4, 4, 9, 9 / (32 * 48))
    truth.instances = torch.tensor([[1, 2, 2, 3, 4, 5, 5, 5]], dtype=torch.int32)  # 2 and 3 are crowds
    assert count_objects(truth).smallest == 1


def test_limits_of_codec_and_metrics_are_compared_with_the_ground_truth(heard: list) -> None:
    task = panoptic(6, 7)
    assert limits(task) == {"task.codec.max_detections": 6, "metric.mask_ap.max_detections": 7}
    tell(task, ObjectCounts(6, 6), "training")
    assert not heard
    tell(task, ObjectCounts(7, 7), "validation", codec="codec")
    tell(task, ObjectCounts(9, 8), "training", exact=False)
    one, both = (str(warning.message) for warning in heard)
    assert one.startswith("codec.max_detections=6: an image of the validation split holds 7 objects, so the rest")
    assert one.endswith("set codec.max_detections=14")
    assert "metric.mask_ap.max_detections=7: an image of the training split holds at least 9 objects" in both
    assert both.endswith("set task.codec.max_detections=18 'metric.mask_ap.max_detections=[1,10,8]'")


def test_ground_truth_smaller_than_what_a_codec_drops_is_named(heard: list) -> None:
    task = Task(INFO, partial(Components, min_area=9), {"semantic": CrossEntropy()}, monitor="")
    for smallest in (0, 9, 8):
        tell(task, ObjectCounts(smallest=smallest), "training")
    (only,) = (str(warning.message) for warning in heard)
    assert only.startswith("task.codec.min_area=9: an instance of the training split has 8 pixels")
    assert only.endswith("set task.codec.min_area=8")


def test_a_share_of_the_image_below_which_instances_are_dropped_is_compared_with_shares(heard: list) -> None:
    task = panoptic(9, 9)
    for area in (9 / (32 * 48), 0.0058, 0.01):  # a cell has 9 pixels
        task.codec.thing_area = area  # pyright: ignore[reportAttributeAccessIssue]
        most = ObjectCounts()
        most.add([cells(2), cells(1)])
        tell(task, most, "training")
    (only,) = (str(warning.message) for warning in heard)
    assert only.startswith("task.codec.thing_area=0.01: an instance of the training split covers 0.0059 of its image")
    assert only.endswith("predictions of less than 0.01 are dropped; set task.codec.thing_area=9")


@pytest.mark.parametrize(
    "build",
    [
        partial(Panoptic, sigma=1.0, kernel=3),
        partial(CenterDetection, stride=2),
        partial(FCOS, strides=(2, 4)),
        partial(OpenPose, stride=1, sigma=1.0, width=1.0, parts=1),
    ],
)
def test_a_codec_counts_the_images_in_which_its_limit_is_reached(build, heard: list) -> None:
    for count, most, full in ((7, 9, 0), (7, 4, 1), (0, 1, 0)):
        codec: Codec = build(INFO, max_detections=most)
        targets = {name: value[None] for name, value in codec.encode(cells(count)).items()}
        (found,) = codec.decode(codec.perfect_outputs(targets), [Frame("a", SIZE)], align_corners=False)
        assert found.count == min(count, most)
        heard.clear()
        tell_of_full(codec, 3)
        assert [str(warning.message) for warning in heard] == [
            f"codec.max_detections={most}: 1 of 3 images have as many predictions as it lets through, so others may be "
            f"lost; set codec.max_detections={2 * most}"
        ] * full
        assert all(warning.category is Notice for warning in heard)
        tell_of_full(codec, 3)  # counts anew
        assert len(heard) == full
