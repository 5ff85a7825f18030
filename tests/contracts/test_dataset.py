"""Contract of every option of configs/dataset, on the small tree that tests/dataset draws for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from densepred.build.instantiate import build
from densepred.contracts import Dataset
from densepred.types import Info, Sample
from tests import companions

Plain = Callable[..., dict[str, Any]]
OPTIONS = sorted(path.stem for path in Path(__file__).parents[2].glob("configs/dataset/*.yaml"))


@pytest.mark.parametrize("option", OPTIONS)
def test_every_split_yields_what_the_description_promises(option: str, tmp_path: Path, plain: Plain) -> None:
    root = [companions.rooted(f"dataset.root={option}", tmp_path)] if companions.from_disk(option) else []
    factory = build(plain(f"dataset={option}", *root)["dataset"])
    infos = []
    for split in ("train", "valid", "test"):
        data = factory(split=split)
        assert isinstance(data, Dataset)
        assert len(data) > 0
        check(data[0], data.info)
        infos.append(data.info)
        if getattr(getattr(data, "_read", None), "exif", None) == "stored":
            assert data.info.exif == "stored", "predictions turn images otherwise"
    assert infos[0] == infos[1] == infos[2]
    assert Info.from_json(json.loads(json.dumps(infos[0].to_json()))) == infos[0]


def check(sample: Sample, info: Info) -> None:
    size = sample.truth.size
    assert sample.image.dtype in (torch.uint8, torch.float32)
    assert sample.image.shape == (info.channels, *size)
    assert sample.image.is_contiguous()
    assert sample.frame.size == size
    assert len(info.palette) == len(info.classes)
    for name in info.provides:
        assert getattr(sample.truth, name) is not None
    semantic = sample.truth.semantic
    if "semantic" not in info.provides:
        return
    assert semantic is not None
    assert semantic.dtype == torch.uint8
    assert semantic.shape == size
    assert set(semantic.unique().tolist()) <= {*range(len(info.classes)), 255}
    if "instances" in info.provides and bool((semantic == 255).any()):
        assert sample.truth.ignore is not None, "scores of instances do not read the class map"
        assert sample.truth.ignore[semantic == 255].all()
