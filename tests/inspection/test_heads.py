"""Objects that heads cannot hold, counted on boxes written by hand; the overrides give each its location."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

import pytest
import torch

from densepred.codec.center_detection import CenterDetection
from densepred.codec.fcos import FCOS
from densepred.codec.panoptic import Panoptic
from densepred.inspection.facts import Facts, Objects
from densepred.inspection.heads import findings, known, lost
from densepred.types import Annotation, Info

INFO = Info(("background", "cell"), (1,), provides=("boxes", "categories"))
BOXES = [[0, 0, 20, 20], [1, 1, 21, 21], [30.5, 30.5, 32, 32], [40, 8, 60, 28]]


def truth(boxes: Sequence[Sequence[float]]) -> Annotation:
    values = torch.tensor([list(box) for box in boxes], dtype=torch.float32).reshape(-1, 4)
    return Annotation((64, 64), boxes=values, categories=torch.ones(len(boxes), dtype=torch.int64))


def test_centers_at_one_location_leave_it_to_one_object() -> None:
    assert lost(CenterDetection(INFO), truth(BOXES)) == 1
    assert lost(CenterDetection(INFO, stride=1), truth(BOXES)) == 0
    assert lost(CenterDetection(INFO), truth([])) == 0


def test_the_count_of_centers_is_that_of_the_targets() -> None:
    codec, random = CenterDetection(INFO), torch.Generator().manual_seed(0)
    corners = torch.rand(60, 2, generator=random) * 50
    boxes = torch.cat([corners, corners + 2 + torch.rand(60, 2, generator=random) * 8], 1)
    found = truth(boxes.tolist())
    assert lost(codec, found) == 60 - int(codec.encode(found)["size_weight"].sum())


def test_a_box_between_the_points_of_fcos_has_no_location_nor_one_at_those_of_a_smaller_one() -> None:
    assert lost(FCOS(INFO), truth(BOXES[2:])) == 1
    assert lost(FCOS(INFO), truth(BOXES[:2])) == 1
    assert lost(FCOS(INFO), truth(BOXES[:1] + BOXES[3:])) == 0
    assert not FCOS(INFO).encode(truth(BOXES[2:3]))["class"].any()


def test_centers_in_one_window_are_one_maximum() -> None:
    assert lost(Panoptic(INFO, stuff=False), truth(BOXES)) == 1
    assert lost(Panoptic(INFO, stuff=False, kernel=1), truth(BOXES)) == 0
    assert lost(Panoptic(INFO, stuff=False), truth([])) == 0


def test_a_class_map_and_poses_have_no_such_heads() -> None:
    assert not known(Info(("background", "cell")))
    assert not known(Info(("person",), (0,), keypoints=("eye",), provides=("boxes", "categories")))
    assert set(known(INFO)) == {"detection_fcos", "detection_center"}


@pytest.mark.parametrize("kind", ["shared_locations", "low_limits"])
def test_the_override_gives_each_object_its_place(kind: str) -> None:
    rows = [Facts("a", objects=Objects(150), lost={"detection_center": 9})]
    found = {one.kind: one for one in findings(rows, {"detection_center": CenterDetection(INFO)})}
    assert found[kind].samples == ("a",)
    words = dict(word.split("=") for word in shlex.split(found[kind].override))
    assert words.pop("task") == "detection_center"
    settings: dict[str, Any] = {key.rpartition(".")[2]: int(value) for key, value in words.items()}
    codec = CenterDetection(INFO, **settings)
    close = [[0, 0, 9, 9], [2, 2, 11, 11]]
    assert (lost(CenterDetection(INFO), truth(close)), lost(codec, truth(close))) == (1, int(kind == "low_limits"))
    again = findings([Facts("a", objects=Objects(150))], {"detection_center": codec})
    assert kind not in {one.kind for one in again}
