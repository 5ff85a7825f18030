"""Descriptions in files of weights with values that no model or dataset has: refused at once, without memory."""

from __future__ import annotations

import copy
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from densepred.build import allowlist
from densepred.errors import UserError
from densepred.jobs.parts import stored, task_and_model
from densepred.types import Info
from densepred.weights.file import load_model, save_weights
from tests.alarm import refused

INFO = Info(classes=("sky", "ball"), palette=((0, 0, 0), (9, 9, 9)))


@pytest.fixture(scope="module")
def good(plain: Callable[..., dict[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    config = plain("model=unet")
    _, model = task_and_model(config["task"], config["model"], INFO)
    about = {"model": stored(config["model"]), "task": stored(config["task"]), "info": INFO.to_json()}
    return dict(model.state_dict()), about


CASES: dict[str, tuple[str, Any]] = {
    "names of 100,000 characters": ("info.classes", ["a" * 10**5, "b"]),
    "a million classes": ("info.classes", [str(i) for i in range(10**6)]),
    "a colour beyond 255": ("info.palette", [[0, 0, 0], [9, 9, 256]]),
    "a negative colour": ("info.palette", [[0, 0, -1], [9, 9, 9]]),
    "a colour of two numbers": ("info.palette", [[0, 0], [9, 9, 9]]),
    "a colour of fractions": ("info.palette", [[0.5, 0, 0], [9, 9, 9]]),
    "things beyond the classes": ("info.things", [7]),
    "limbs without keypoints": ("info.limbs", [[0, 1]]),
    "mirrored without keypoints": ("info.mirrored", [[0, 1]]),
    "a std of 10^300": ("info.std", [1e300, 1, 1]),
    "10^9 channels": ("info.channels", 10**9),
    "no channels": ("info.channels", 0),
    "channels that are true": ("info.channels", True),
    "unknown ground truth": ("info.provides", ["semantic", "x"]),
    "layers of 10^12 channels": ("model.encoder.widths", [10**12]),
    "100,000 layers": ("model.encoder.widths", [1] * 10**5),
    "30,000 layers": ("model.encoder.widths", [1] * 30_000),
}


@pytest.mark.parametrize("name", CASES)
def test_what_no_model_or_dataset_has_is_refused_at_once(tmp_path: Path, good: Any, name: str) -> None:
    key, value = CASES[name]
    state, about = good[0], copy.deepcopy(good[1])
    *parents, last = key.split(".")
    node = about
    for parent in parents:
        node = node[parent]
    assert last in node
    node[last] = value
    save_weights(tmp_path / "good.safetensors", *good)
    load_model(tmp_path / "good.safetensors")
    save_weights(tmp_path / "w.safetensors", state, about)
    before, begin = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    message = refused(tmp_path / "w.safetensors")
    assert len(message) < 1000
    assert "w.safetensors: " in message
    assert time.process_time() - begin < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 700 * 1024


@pytest.mark.parametrize("size", [[10**12, 10], [10**5, 10**5], [65536, 65536], [float("nan"), 3], 40_000])
def test_transforms_to_sizes_beyond_memory_are_refused(size: Any) -> None:
    node = {"_target_": "densepred.transform.resize.Resize", "size": [512, 1024]}
    allowlist.check(node, "transform")
    with pytest.raises(UserError, match="transform"):
        allowlist.check({**node, "size": size}, "transform")
