"""Settings of a codec that are typed for a checkpoint and change nothing there have a line."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

import pytest
import torch

from densepred.codec.fcos import FCOS
from densepred.errors import Notice
from densepred.types import Frame, Info
from densepred.weights import codec_settings

MODULES = {
    "FCOS": "fcos",
    "CenterDetection": "center_detection",
    "OpenPose": "openpose",
}


@pytest.mark.parametrize("name", codec_settings.IDLE)
def test_the_rules_name_arguments_of_their_codec(name: str) -> None:
    module = importlib.import_module(f"densepred.codec.{MODULES.get(name, name.lower())}")
    known = inspect.signature(getattr(module, name)).parameters
    assert [key for keys, *_ in codec_settings.IDLE[name] for key in keys if key not in known] == []


def test_a_setting_that_only_targets_use_has_a_line_and_another_has_none() -> None:
    task = {"codec": {"_target_": "densepred.codec.fcos.FCOS", "regress_range": 8.0, "nms": 0.6}}
    with pytest.warns(Notice, match=r"codec\.regress_range=4\.0: changes no prediction and no score: it makes the tar"):
        found = codec_settings.with_codec_settings(task, {"regress_range": 4.0, "nms": 0.5})
    assert found["codec"] == {"_target_": "densepred.codec.fcos.FCOS", "regress_range": 4.0, "nms": 0.5}
    pose = {"_target_": "densepred.codec.pose.Pose", "decode": "dark", "blur": None}
    assert list(codec_settings.idle(pose, {"sigma": 3.0, "joint_threshold": 0.1})) == []
    assert len(list(codec_settings.idle({**pose, "decode": "quarter"}, {"blur": 5}))) == 1


def test_settings_with_a_line_change_no_boxes() -> None:
    info, frames = Info(classes=("a", "b"), things=(0, 1)), [Frame("x", (64, 64))]

    def boxes(**settings: Any) -> torch.Tensor:
        codec = FCOS(info, strides=(8, 16), score_threshold=0.0, **settings)
        draw = torch.Generator().manual_seed(0)
        shapes = {name: spec.channels for name, spec in codec.heads.items()}
        outputs = {name: torch.rand(1, count, 80, generator=draw) for name, count in shapes.items()}
        return codec.decode(outputs, frames, False)[0].need("boxes")

    first = boxes()
    assert len(first) > 3
    for keys, *_ in codec_settings.IDLE["FCOS"]:
        for key in keys:
            assert torch.equal(boxes(**{key: 0.5}), first), key
    assert not torch.equal(boxes(nms=0.1), first)
