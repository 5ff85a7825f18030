"""Channels of a file have the names that its own codec gave them, whatever the settings of the present one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from densepred.build.instantiate import build
from densepred.cli import compose
from densepred.codec.skeleton import OPENPOSE, OPENPOSE_LIMBS
from densepred.contracts import Model
from densepred.errors import UserError
from densepred.settings import WeightsSettings
from densepred.types import HeadSpec, Info
from densepred.weights import former_heads, pretrained
from densepred.weights.file import save_weights
from tests.conftest import composed

WORDS = ("task=openpose", "encoder=plain", "encoder.widths=[4,8,8,8]", "model.width=8", "model.features=[8]")
WORDS += ("model.first_hidden=8", "model.stages=2")
INFO = Info(keypoints=OPENPOSE, limbs=OPENPOSE_LIMBS[::-1], mirrored=None)
"""OpenPose's joints with its limbs in the opposite order: both orders have as many channels."""


def made(limbs: str) -> tuple[dict[str, Any], dict[str, HeadSpec], Model]:
    """The codec of these limbs, its heads and a model for them."""
    settings = compose.settings(composed(*WORDS, f"task.codec.limbs={limbs}"))
    heads = build(settings.task["codec"], None, "task.codec")(info=INFO).heads
    model = build(settings.model, None, "model", heads=heads, channels=3, mean=[0.5] * 3, std=[0.5] * 3)
    return settings.task["codec"], heads, model.eval()


def saved(path: Path, codec: object, model: Model, info: Info = INFO) -> str:
    save_weights(path, model.state_dict(), {"model": {}, "task": {"codec": codec}, "info": info.to_json()})
    return str(path)


@torch.no_grad()
def test_limbs_in_another_order_are_found_by_their_names(tmp_path: Path) -> None:
    codec, heads, model = made("openpose")
    for value in model.parameters():
        value.copy_(torch.rand_like(value) - 0.4)
    path = saved(tmp_path / "a.safetensors", codec, model)
    _, others, other = made("dataset")
    assert others["paf"].channels == heads["paf"].channels
    assert others["paf"].names != heads["paf"].names
    pretrained.load(other, WeightsSettings(init=path), others, lambda _: None)
    image = torch.rand(1, 3, 64, 64)
    places = [heads["paf"].names.index(name) for name in others["paf"].names]
    for one, two in zip(model(image)["paf"], other(image)["paf"], strict=True):
        torch.testing.assert_close(two, one[:, places], rtol=1e-4, atol=1e-5)
    with pytest.raises(UserError, match=r"its channels of paf are neck to right_hip x, .* use weights\.init"):
        pretrained.load(other, WeightsSettings(model=path), others, lambda _: None)


def test_a_codec_that_is_not_trusted_names_no_channels(tmp_path: Path) -> None:
    codec, heads, model = made("dataset")
    path = saved(tmp_path / "a.safetensors", {**codec, "_target_": "collections.OrderedDict"}, model)
    for wanted in (WeightsSettings(init=path), WeightsSettings(model=path)):
        notes: list[str] = []
        pretrained.load(model, wanted, heads, notes.append)
        (note,) = [note for note in notes if "taken in the order" in note]
        assert note.startswith("  the codec of the file is refused (")
        assert "codec._target_: collections.OrderedDict" in note


def test_a_file_without_a_codec_names_no_channels() -> None:
    for description in ({}, {"info": INFO.to_json()}, {"info": INFO.to_json(), "task": {}}):
        assert former_heads.former(description) == (None, former_heads.UNNAMED)


def test_the_dataset_of_the_file_counts() -> None:
    codec, _, _ = made("dataset")
    fewer = replace(INFO, limbs=OPENPOSE_LIMBS[:1])
    found = former_heads.former({"info": fewer.to_json(), "task": {"codec": codec}}).names
    assert found is not None
    assert found["paf"] == ("neck to right_hip x", "neck to right_hip y")
