"""Presets on the real data, if it is present."""

from __future__ import annotations

from pathlib import Path

import pytest

from densepred.dataset.coco_instances import CocoInstances
from densepred.dataset.folder import Folder
from densepred.dataset.instance_folder import InstanceFolder
from densepred.types import VOID

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def labels(data: Folder, step: int) -> set[int]:
    return {value for i in range(0, len(data), step) for value in data[i].truth.semantic.unique().tolist()}  # type: ignore[union-attr]


def test_camvid_has_eleven_classes_and_void() -> None:
    if not (DATA / "camvid").is_dir():
        pytest.skip("../shared/data/camvid is absent")
    data = Folder(str(DATA / "camvid"), split="valid")
    assert len(data) == 101
    assert len(data.info.classes) == 11
    assert data.info.palette[8] == (64, 0, 128)
    assert data[0].image.shape == (3, 360, 480)
    assert labels(data, 25) <= {*range(11), VOID}


def test_isbi_is_grey_and_has_two_classes() -> None:
    if not (DATA / "isbi").is_dir():
        pytest.skip("../shared/data/isbi is absent")
    data = Folder(str(DATA / "isbi"), split="train")
    assert len(data) == 20
    assert data.info.classes == ("membrane", "cell")
    assert data.info.channels == 1
    assert data[0].image.shape == (1, 512, 512)
    assert labels(data, 10) == {0, 1}


def test_nuclei_have_the_instances_of_their_json() -> None:
    """Compare the ids of the maps with the run-length masks of the same nuclei in COCO's JSON."""
    if not (DATA / "nuclei").is_dir():
        pytest.skip("../shared/data/nuclei is absent")
    data = InstanceFolder(str(DATA / "nuclei"), split="valid", classes=["background", "nucleus"], channels=3)
    coco = CocoInstances(str(DATA / "nuclei"), split="valid")
    assert len(data) == len(coco) == 40
    assert data.info.things == (1,)
    by_name = {coco.index.entries[i].name: i for i in range(len(coco))}
    for index in range(0, 40, 7):
        sample = data[index]
        assert sample.image.shape == (3, *sample.truth.size)
        wanted = coco[by_name[sample.frame.id]].truth
        assert sample.truth.areas is not None
        assert wanted.areas is not None
        assert sorted(sample.truth.areas.tolist()) == sorted(wanted.areas.tolist())
        assert sample.truth.semantic is not None
        assert wanted.semantic is not None
        assert sample.truth.semantic.tolist() == wanted.semantic.tolist()
