"""File names of JSON files and the images that they mean."""

from __future__ import annotations

from pathlib import Path

import pytest

from densepred.dataset.file_names import FileNames
from densepred.dataset.paths import inside


@pytest.mark.parametrize(
    "written", ["x.png", "./x.png", "val/x.png", "images/val/x.png", "images\\val\\x.png", ".\\val\\x.png"]
)
def test_a_name_may_begin_at_any_folder_and_be_written_on_windows(written: str) -> None:
    names = FileNames([(written, "7"), ("y.png", "8")])
    assert names.find("x.png", "/data/images/val") == {"7"}
    assert names.find("val/x.png", "/data/images") == {"7"}
    assert names.find("z.png", "/data/images/val") == set()


def test_the_folder_decides_between_equal_names() -> None:
    names = FileNames([("train/x.png", 1), ("val/x.png", 2)])
    assert names.find("x.png", "/data/val") == {2}
    assert names.find("x.png", "/data/train") == {1}
    assert names.find("x.png", "/copied") == {1, 2}
    assert names.find("train/x.png", "/val") == {1}


def test_training_reads_names_written_on_windows(tmp_path: Path) -> None:
    (tmp_path / "val").mkdir()
    (tmp_path / "val/x.png").touch()
    assert inside(tmp_path, "val\\x.png", "here") == tmp_path / "val/x.png"
    (tmp_path / "a\\b.png").touch()  # a backslash is a letter here
    assert inside(tmp_path, "a\\b.png", "here") == tmp_path / "a\\b.png"
