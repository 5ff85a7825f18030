"""The images of a folder, as every command lists them."""

from __future__ import annotations

import json
import os
import re
import warnings
from pathlib import Path

import pytest

from densepred.dataset.listing import RECORD, image_files
from densepred.dataset.pairs import pair_folders
from densepred.errors import Notice, UserError
from densepred.results.inputs import images


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def names(found: list[Path], folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in found]


def test_linked_folders_are_searched_and_circles_end(tmp_path: Path) -> None:
    touch(tmp_path / "elsewhere", "c.png")
    folder = touch(tmp_path / "in", "b.png", "a/x.JPG", "a/notes.txt", ".hidden/d.png")
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    (folder / "a/round").symlink_to(folder)
    expected = ["a/x.JPG", "b.png", "linked/c.png"]
    assert names(image_files(folder), folder) == expected
    assert [pair.id for pair in pair_folders(folder, None)] == ["a/x", "b", "linked/c"]


def test_predictions_below_the_images_are_no_images(tmp_path: Path) -> None:
    folder = touch(tmp_path, "a.png", "out/labels/a.png", "former/labels/a.png", "mine/labels/a.png")
    (folder / "former" / RECORD).write_text(json.dumps({"command": "densepred-predict"}))
    (folder / "mine" / RECORD).write_text("{}")  # a file of that name that is not ours
    with pytest.warns(Notice, match="left out, because densepred wrote it: .*former, .*out"):
        assert names(image_files(folder, folder / "out"), folder) == ["a.png", "mine/labels/a.png"]
    with pytest.warns(Notice, match="former"):
        assert [pair.id for pair in pair_folders(folder, None)] == ["a", "mine/labels/a", "out/labels/a"]


def test_a_folder_of_predictions_itself_can_be_listed(tmp_path: Path) -> None:
    touch(tmp_path, "labels/a.png")
    (tmp_path / RECORD).write_text(json.dumps({"command": "densepred-predict"}))
    assert names(image_files(tmp_path), tmp_path) == ["labels/a.png"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list every folder")
def test_a_folder_that_may_not_be_listed_is_named(tmp_path: Path) -> None:
    touch(tmp_path, "closed/a.png")
    (tmp_path / "closed").chmod(0)
    with pytest.raises(UserError, match=r"closed: cannot be listed: Permission denied"):
        image_files(tmp_path)


OTHERS = ("b.mp4", "sub/c.MOV", "d.heic", "sub/README", "sub/e.txt", ".f.png", ".git/config", ".DS_Store", "Thumbs.db")
COUNTS = "2 videos (.mov, .mp4), 3 other files (.heic, .txt, without extension), 2 hidden"


def test_predict_counts_the_files_that_are_no_images(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", *OTHERS)
    said = re.escape(f"input={tmp_path}: left out {COUNTS}; give each video by itself, input=FILE")
    with pytest.warns(Notice, match=said):
        assert names(images(tmp_path), tmp_path) == ["a.png"]


def test_a_folder_of_videos_alone_is_refused_with_what_to_type(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4", "b.mp4")
    with pytest.raises(UserError, match=r"holds no images .*, only 2 videos \(\.mp4\); give each video by itself"):
        images(tmp_path)


def test_images_alone_with_files_of_the_system_and_of_classes_give_no_notice(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", ".DS_Store", "desktop.ini", "sub/.gitkeep", "_classes.csv", "labelmap.txt")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert names(images(tmp_path), tmp_path) == ["a.png"]


def test_datasets_count_them_once_for_images_and_masks(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.png", "images/b.heic", "masks/a.png", "masks/notes.txt")
    with pytest.warns(Notice) as told:
        pair_folders(tmp_path / "images", tmp_path / "masks", tell=True)
    both = f"{tmp_path}/images and {tmp_path}/masks"
    assert [str(one.message) for one in told] == [
        f"{both}: left out 2 other files (.heic, .txt); convert images among them to PNG"
    ]
    touch(tmp_path / "one", "a.png", "a_mask.png", "c.svg")
    with pytest.warns(Notice, match=r"one: left out 1 other file \(\.svg\)") as told:
        pair_folders(tmp_path / "one", tmp_path / "one", "_mask", tell=True)
    assert len(told) == 1


def test_pictures_of_an_evaluation_are_no_images(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "evaluations/one/pictures/worst.png", "other/b.png")
    (tmp_path / "other/metrics.json").write_text('{"miou": 1}')  # of another program
    (tmp_path / "evaluations/one/metrics.json").write_text('{"checkpoint": "x", "split": "valid", "metrics": {}}')
    with pytest.warns(Notice, match="left out, because densepred wrote it: .*one"):
        assert names(image_files(tmp_path), tmp_path) == ["a.png", "other/b.png"]
