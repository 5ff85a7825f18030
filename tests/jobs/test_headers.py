"""Faults that headers of image files show give one line before training; nothing is decoded."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from densepred.dataset.folder import Folder
from densepred.dataset.shapes import Shapes
from densepred.errors import Notice
from densepred.jobs import headers
from densepred.jobs.headers import faults, warn_of_files
from tests.dataset.files import write

PIXELS = 10**6


def tree(root: Path, images: int = 5) -> Folder:
    for index in range(images):
        write(root / f"images/train/{index}.png", np.full((8, 12, 3), index, np.uint8))
        write(root / f"masks/train/{index}.png", np.arange(96, dtype=np.uint8).reshape(8, 12) % 2)
    return Folder(str(root))


def test_sound_files_give_no_line(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", Notice)
        warn_of_files({"train": tree(tmp_path), "valid": Shapes("valid")}, PIXELS)


def test_damaged_unequal_and_turned_files_are_counted_in_one_line(tmp_path: Path) -> None:
    data = tree(tmp_path)
    exif = Image.Exif()
    exif[0x0112] = 3
    (tmp_path / "images/train/0.png").write_bytes(b"no image")
    write(tmp_path / "masks/train/1.png", np.zeros((4, 6), np.uint8))
    write(tmp_path / "masks/train/2.png", np.zeros((12, 8), np.uint8))
    write(tmp_path / "images/train/3.png", np.zeros((8, 12, 3), np.uint8), exif=exif)
    with pytest.warns(Notice) as told:
        warn_of_files({"train": data}, PIXELS)
    assert len(told) == 1
    text = str(told[0].message)
    assert f"train: 1 of 5 images cannot be read, or are above data.max_pixels ({tmp_path}/images/train/0.png)" in text
    assert f"train: 2 of 5 images have masks of another size ({tmp_path}/images/train/1.png)" in text
    assert f"train: 1 of 5 images are turned by EXIF, and their masks fit both orientations ({tmp_path}" in text
    data.exif = "stored"
    assert not [phrase for phrase in faults(data, PIXELS) if "EXIF" in phrase]


def test_a_mask_of_the_upright_size_fits(tmp_path: Path) -> None:
    data = tree(tmp_path, 1)
    exif = Image.Exif()
    exif[0x0112] = 6
    write(tmp_path / "images/train/0.png", np.zeros((12, 8, 3), np.uint8), exif=exif)
    assert not list(faults(data, PIXELS))


def test_of_many_files_a_sample_is_looked_at_and_said_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tree(tmp_path)
    (tmp_path / "images/train/3.png").write_bytes(b"no image")
    monkeypatch.setattr(headers, "MOST", 2)
    (phrase,) = faults(data, PIXELS)
    assert phrase.startswith("1 of 2 images that were looked at, of 5, cannot be read")
