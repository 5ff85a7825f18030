"""Former names of arguments: in nodes, in dotted configs, in overrides, and against the classes that take them."""

from __future__ import annotations

import importlib
import inspect

import pytest

from densepred.build import renamed
from densepred.build.instantiate import check

FCOS = "densepred.codec.fcos.FCOS"


@pytest.mark.parametrize("target", renamed.FORMER)
def test_every_present_name_is_an_argument_and_no_former_one_is(target: str) -> None:
    module, _, name = target.rpartition(".")
    arguments = inspect.signature(getattr(importlib.import_module(f"densepred.{module}"), name)).parameters
    assert set(renamed.FORMER[target].values()) <= set(arguments)
    assert not set(renamed.FORMER[target]) & set(arguments)


def test_nested_nodes_take_their_present_names_and_other_classes_keep_theirs() -> None:
    codec = {"_target_": FCOS, "most": 7, "nms": 0.5}
    radius = {"_target_": "densepred.codec.center_detection.CenterDetection", "radius": "corner"}
    changed = set[str]()
    found = renamed.node({"list": [codec], "other": {"most": 1}, "center": radius}, changed)
    assert found == {
        "list": [{"_target_": FCOS, "max_detections": 7, "nms": 0.5}],
        "other": {"most": 1},
        "center": radius,
    }
    assert changed == {"most -> max_detections"}


def test_dotted_configs_and_overrides_follow_the_class_beside_them() -> None:
    config = {"task.codec._target_": FCOS, "task.codec.most": 7, "task.most": 1}
    assert renamed.flat(config) == {"task.codec._target_": FCOS, "task.codec.max_detections": 7, "task.most": 1}
    words = ["++task.codec.most=7", "task.most=1", "dataset.splits={a: 1}", "~task.codec.radius", "model=fcos"]
    assert renamed.words(words, config) == [
        "++task.codec.max_detections=7",
        "task.most=1",
        "dataset.splits={a: 1}",
        "~task.codec.center_sampling_radius",
        "model=fcos",
    ]


def test_a_former_name_in_a_config_of_ones_own_is_refused_with_the_present_one() -> None:
    (mistake,) = check({"model": {"part": {"_target_": "densepred.loss.topk.TopK", "share": 0.2}}})
    assert "share: it is called top_k_percent now; type model.part.top_k_percent=..." in mistake
