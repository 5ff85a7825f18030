"""The presets on the real data, where that is at hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from densepred.dataset.folder import Folder
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
