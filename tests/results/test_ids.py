"""Ids of images from COCO files, in which names begin anywhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from densepred.errors import UserError
from densepred.results.coco import Categories
from densepred.results.ids import image_ids, known_ids
from densepred.types import Info

CATEGORIES = [{"id": 1, "name": "dog"}]


def coco(folder: Path, *images: tuple[Any, str]) -> Path:
    path = folder / "truth.json"
    listed = [{"id": id, "file_name": name} for id, name in images]
    path.write_text(json.dumps({"images": listed, "categories": CATEGORIES}))
    return path


@pytest.mark.parametrize("prefix", ["", "./", "val/", "images/val/", "images\\val\\"])
@pytest.mark.parametrize("id", [7, "seven", "007"])
def test_images_are_found_as_training_finds_them(tmp_path: Path, prefix: str, id: int | str) -> None:
    folder = tmp_path / "images/val"
    folder.mkdir(parents=True)
    known = known_ids(coco(tmp_path, (id, f"{prefix}x.png"), (8, f"{prefix}y.png")))
    assert image_ids([folder / "x.png"], folder, known) == [id]
    assert image_ids([folder / "x.png"], tmp_path, known) == [id]


def test_what_is_ambiguous_is_refused(tmp_path: Path) -> None:
    known = known_ids(coco(tmp_path, (1, "train/x.png"), (2, "val/x.png"), (3, "z.png")))
    with pytest.raises(UserError, match=r"x\.png may be the image 1 or 2; give input="):
        image_ids([tmp_path / "x.png"], tmp_path, known)
    (tmp_path / "a").mkdir()
    with pytest.raises(UserError, match=r"a/z\.png and z\.png are both its image 3"):
        image_ids([tmp_path / "a/z.png", tmp_path / "z.png"], tmp_path, known)


@pytest.mark.parametrize(("id", "name"), [(None, "x.png"), (1.5, "x.png"), (True, "x.png"), (1, None), (1, "")])
def test_damaged_lists_of_images_are_refused(tmp_path: Path, id: Any, name: Any) -> None:
    with pytest.raises(UserError, match=r"coco_ids=.*images\[0\]"):
        known_ids(coco(tmp_path, (id, name)))


def test_categories_may_have_text_ids() -> None:
    info = Info(classes=("background", "dog"))
    assert Categories.named(info, [{"id": "d", "name": "dog"}], "f").ids == (0, "d")


def test_skeletons_in_files_count_joints_from_1() -> None:
    """The COCO format gives limbs as pairs of positions in `keypoints`, the first being 1."""
    info = Info(classes=("person",), keypoints=("head", "neck", "hip"), limbs=((0, 1), (1, 2)))
    (entry,) = Categories.counted(info).listed()
    assert entry["skeleton"] == [[1, 2], [2, 3]]
    assert entry["keypoints"] == ["head", "neck", "hip"]
