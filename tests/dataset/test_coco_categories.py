"""Categories of COCO's instances: a background of the file's own, unused ones, more than a class map holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from densepred.errors import Notice
from tests.dataset.coco_tree import note, square, tree
from tests.dataset.test_coco_instances import changed, nothing


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tree(tmp_path)


def many(data: dict[str, Any]) -> None:
    data["categories"] += [{"id": 100 + i, "name": f"kind {i}"} for i in range(300)]
    data["annotations"][0]["category_id"] = 399


def test_more_classes_than_a_class_map_holds_have_boxes_and_masks(root: Path) -> None:
    with pytest.warns(Notice, match="303 classes, more than the 255 of a class map"):
        data = changed(root, many)
    assert "semantic" not in data.info.provides
    assert {"boxes", "instances", "masks"} <= set(data.info.provides)
    truth = data[0].truth
    assert truth.need("categories").tolist() == [302, 1, 2]
    assert truth.semantic is None


@pytest.mark.parametrize("name", ["background", "_background_", "Background"])
def test_a_background_of_the_file_is_class_0(root: Path, name: str) -> None:
    def change(data: dict[str, Any]) -> None:
        data["categories"].insert(0, {"id": 0, "name": name})
        data["annotations"].append(note(9, 0, [5, 5, 4, 4], 16, segmentation=[square(5, 5, 4)]) | {"image_id": 8})

    with pytest.warns(Notice, match=r"1 of 4 annotations left out \(1 of the background\)"):
        data = changed(root, change)
    assert data.info.classes == ("background", "cat", "dog")
    assert data.info.things == (1, 2)
    assert data[0].truth.need("categories").tolist() == [2, 1, 2]
    assert nothing(data[1].truth)


def test_a_category_without_annotations_is_named(root: Path) -> None:
    with pytest.warns(Notice, match="categories without an annotation in train: animals; they stay classes"):
        data = changed(root, lambda d: d["categories"].insert(0, {"id": 0, "name": "animals"}))
    assert data.info.classes == ("background", "animals", "cat", "dog")
