"""Settings of a codec that are typed for a checkpoint and change nothing there have a line."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import pytest
import torch

from densepred.codec.fcos import FCOS
from densepred.codec.pose import Pose
from densepred.codec.semantic import Semantic
from densepred.errors import notices
from densepred.types import Frame, Info
from densepred.weights import codec_settings
from tests import companions
from tests.conftest import composed

BOXES = Info(classes=("a", "b"), things=(0, 1))
PEOPLE = Info(classes=("a",), keypoints=("x", "y"))


def told(codec: Any, node: Mapping[str, Any], **typed: Any) -> list[str]:
    lines: list[str] = []
    with notices(lines.append, lines.append):
        codec_settings.tell_unused(codec, {"codec": {**node, **typed}}, typed)
    return lines


@pytest.mark.parametrize("task", companions.options("task"))
def test_codecs_name_arguments_of_their_own_as_unused(task: str) -> None:
    """With the settings of the task, and with each switch turned."""
    node = dict(composed(task.replace("/", "=")).task.codec)
    path = node["_target_"]
    codec = getattr(__import__(path.rpartition(".")[0], fromlist=["x"]), path.rpartition(".")[2])
    known = inspect.signature(codec).parameters
    turned = [{**node, key: not value} for key, value in node.items() if isinstance(value, bool)]
    for settings in (node, *turned):
        defaults = {one.name: one.default for one in known.values()}
        found = codec.unused(codec.__new__(codec), {**defaults, **settings})
        assert [key for key in found if key not in known] == []


def test_a_setting_that_only_targets_use_has_a_line_and_another_has_none() -> None:
    (line,) = told(FCOS(BOXES), {}, regress_range=4.0, nms=0.5)
    wanted = "codec.regress_range=4.0: changes no prediction and no score: it makes the targets of losses; leave it out"
    assert line == wanted
    pose = Pose(PEOPLE)
    assert told(pose, {"decode": "dark", "blur": None}, sigma=3.0, joint_threshold=0.1) == []
    assert len(told(pose, {"decode": "quarter"}, blur=5)) == 1
    assert len(told(pose, {"blur": 5}, sigma=3.0)) == 1, "decode=dark is the default of older files, too"


def test_a_codec_of_a_user_declares_its_own() -> None:
    class Own(Semantic):
        def unused(self, settings: Mapping[str, Any]) -> dict[str, str]:
            return {"distance": "mine"} if not settings["sigmoid"] else {}

    info = Info(classes=("a", "b"))
    assert told(Own(info), {}, distance=True) == [
        "codec.distance=True: changes no prediction and no score: mine; leave it out"
    ]
    assert told(Own(info), {"sigmoid": True}, distance=True) == []


def test_settings_with_a_line_change_no_boxes() -> None:
    frames = [Frame("x", (64, 64))]

    def boxes(**settings: Any) -> torch.Tensor:
        codec = FCOS(BOXES, strides=(8, 16), score_threshold=0.0, **settings)
        draw = torch.Generator().manual_seed(0)
        shapes = {name: spec.channels for name, spec in codec.heads.items()}
        outputs = {name: torch.rand(1, count, 80, generator=draw) for name, count in shapes.items()}
        return codec.decode(outputs, frames, False)[0].need("boxes")

    first = boxes()
    assert len(first) > 3
    for key in FCOS(BOXES).unused({}):
        assert torch.equal(boxes(**{key: 0.5}), first), key
    assert not torch.equal(boxes(nms=0.1), first)
