"""Arrays in MATLAB files, compared with scipy, which writes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from densepred.dataset import mat_file

BOXES = np.random.default_rng(0).normal(size=(2, 2, 7))


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("kind", [np.float64, np.float32, np.uint8, np.int16, np.int64])
def test_arrays_come_out_as_scipy_wrote_them(tmp_path: Path, kind: type, compressed: bool) -> None:
    other = {"text": "x" * 1000, "cells": np.array([1, "a"], object), "many": np.zeros(10**5)}
    values = (BOXES * 50).astype(kind)
    savemat(tmp_path / "a.mat", {**other, "boxes": values, "last": 3}, do_compression=compressed)
    found = mat_file.read(tmp_path / "a.mat", "boxes", 2**20)
    np.testing.assert_array_equal(found, values.astype(np.float64))


@pytest.mark.parametrize(
    ("name", "words"), [("none", "no variable none"), ("text", "no array of real"), ("complex", "no array of real")]
)
def test_other_variables_are_refused(tmp_path: Path, name: str, words: str) -> None:
    savemat(tmp_path / "a.mat", {"boxes": BOXES, "text": "abc", "complex": BOXES + 1j})
    with pytest.raises(ValueError, match=words):
        mat_file.read(tmp_path / "a.mat", name, 2**20)


def test_a_compressed_bomb_is_cut(tmp_path: Path) -> None:
    savemat(tmp_path / "a.mat", {"boxes": np.zeros((2, 2, 10**6))}, do_compression=True)
    assert (tmp_path / "a.mat").stat().st_size < 2**16
    with pytest.raises(ValueError, match="cut off"):
        mat_file.read(tmp_path / "a.mat", "boxes", 2**20)
