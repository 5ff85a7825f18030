"""Files that fit COCO's format with numbers that are meant otherwise."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from densepred.dataset.coco_instances import CocoInstances
from densepred.dataset.coco_keypoints import CocoKeypoints
from densepred.errors import Notice, UserError
from tests.dataset.files import picture, write

Record = dict[str, Any]
WIDTH, HEIGHT = 64, 48
BOXES = ((8, 6, 20, 30), (30, 10, 30, 20), (40, 30, 20, 15), (2, 2, 9, 40))


def polygon(x: float, y: float, width: float, height: float) -> list[float]:
    return [x, y, x + width, y, x + width, y + height, x, y + height]


def data(root: Path, change: Callable[[Record], object], kind: str = "instances") -> CocoInstances | CocoKeypoints:
    """A file of two images with two objects each; `change` alters each annotation."""
    category: Record = {"id": 1, "name": "cat"}
    if kind != "instances":
        category["keypoints"] = ["nose", "tail"]
    images = [{"id": i, "file_name": f"{i}.png", "width": WIDTH, "height": HEIGHT} for i in range(2)]
    notes: list[Record] = [
        {"id": i, "image_id": i % 2, "category_id": 1, "bbox": list(box), "segmentation": [polygon(*box)]}
        for i, box in enumerate(BOXES)
    ]
    for note in notes:
        note["keypoints"] = [note["bbox"][0] + 2, note["bbox"][1] + 3, 2, note["bbox"][0] + 5, note["bbox"][1] + 4, 2]
        change(note)
    for image in images:
        write(root / "images/train" / image["file_name"], picture((HEIGHT, WIDTH)))
    path = root / f"annotations/{kind}_train.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"images": images, "annotations": notes, "categories": [category]}))
    return (CocoInstances if kind == "instances" else CocoKeypoints)(str(root))


def fractions(note: Record) -> None:
    note["bbox"] = [value / side for value, side in zip(note["bbox"], (WIDTH, HEIGHT) * 2, strict=True)]


def corners(note: Record) -> None:
    x, y, width, height = note["bbox"]
    note["bbox"] = [x, y, x + width, y + height]


def centers(note: Record) -> None:
    x, y, width, height = note["bbox"]
    note["bbox"] = [x + width / 2, y + height / 2, width, height]


def without_mask(change: Callable[[Record], None]) -> Callable[[Record], None]:
    def both(note: Record) -> None:
        change(note)
        note["segmentation"] = []

    return both


@pytest.mark.parametrize("kind", ["instances", "person_keypoints"])
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (fractions, "every bbox lies between 0 and 1"),
        (without_mask(fractions), "every bbox lies between 0 and 1"),
        (corners, r"4 of 4 boxes fit their masks only as \[x0, y0, x1, y1\]"),
        (centers, r"4 of 4 boxes fit their masks only as \[center x, center y, width, height\]"),
        (without_mask(corners), r"2 of 4 boxes leave their image, and none does if they are \[x0, y0, x1, y1\]"),
    ],
)
def test_boxes_of_another_form_are_refused(
    tmp_path: Path, kind: str, change: Callable[[Record], None], told: str
) -> None:
    with pytest.raises(UserError, match=told):
        data(tmp_path, change, kind)


@pytest.mark.parametrize("kind", ["instances", "person_keypoints"])
def test_polygons_as_fractions_are_refused(tmp_path: Path, kind: str) -> None:
    def change(note: Record) -> None:
        del note["bbox"]
        note["segmentation"] = [[v / (HEIGHT if i % 2 else WIDTH) for i, v in enumerate(note["segmentation"][0])]]

    with pytest.raises(UserError, match="every segmentation lies between 0 and 1"):
        data(tmp_path, change, kind)


def test_keypoints_as_fractions_are_refused(tmp_path: Path) -> None:
    def change(note: Record) -> None:
        note["keypoints"] = [v / side for v, side in zip(note["keypoints"], (WIDTH, HEIGHT, 1) * 2, strict=True)]

    with pytest.raises(UserError, match="every keypoints lies between 0 and 1"):
        data(tmp_path, change, "person_keypoints")


def test_some_boxes_that_do_not_fit_are_counted(tmp_path: Path) -> None:
    def change(note: Record) -> None:
        if note["id"] == 0:
            note["segmentation"] = [polygon(50, 40, 5, 5)]

    with pytest.warns(Notice, match=r"1 of 4 boxes do not fit their masks \(IoU below 0.5\)"):
        data(tmp_path, change)


def test_annotations_given_twice_are_counted(tmp_path: Path) -> None:
    def change(note: Record) -> None:
        note.update(image_id=0, bbox=[8, 6, 20, 30], segmentation=[polygon(8, 6, 20, 30)], keypoints=[])

    with pytest.warns(Notice, match="3 annotations given twice"):
        data(tmp_path, change)


def test_missing_keypoints_at_the_origin_are_counted(tmp_path: Path) -> None:
    def change(note: Record) -> None:
        note["keypoints"][3:] = [0, 0, 2]

    with pytest.warns(Notice, match=r"4 labelled keypoints at \(0, 0\)"):
        data(tmp_path, change, "person_keypoints")


def test_keypoints_beyond_the_image_are_counted(tmp_path: Path) -> None:
    def change(note: Record) -> None:
        note["keypoints"] = [WIDTH, HEIGHT, 2, WIDTH + 0.5, 3, 1]

    with pytest.warns(Notice, match=r"4 labelled keypoints beyond their image; check them"):
        data(tmp_path, change, "person_keypoints")


def test_another_num_keypoints_than_those_labelled_is_counted(tmp_path: Path) -> None:
    def change(note: Record) -> None:
        note["num_keypoints"] = 2 if note["id"] else 1

    with pytest.warns(Notice, match=r"1 annotation with another num_keypoints than labelled keypoints"):
        data(tmp_path, change, "person_keypoints")


@pytest.mark.filterwarnings("error::densepred.errors.Notice")
def test_a_plain_file_raises_no_doubt(tmp_path: Path) -> None:
    assert len(data(tmp_path, lambda note: None)) == 2


def test_a_file_listed_under_two_ids_is_refused(tmp_path: Path) -> None:
    data(tmp_path, lambda note: None)
    path = tmp_path / "annotations/instances_train.json"
    listed = json.loads(path.read_text())
    listed["images"].append(listed["images"][0] | {"id": 9})
    path.write_text(json.dumps(listed))
    with pytest.raises(UserError, match="image 9: its file is that of image 0 too"):
        CocoInstances(str(tmp_path))


def test_notices_name_the_split_of_a_file_that_holds_several(tmp_path: Path) -> None:
    data(tmp_path, lambda note: note.pop("segmentation"))
    path = tmp_path / "annotations/instances_train.json"
    listed = json.loads(path.read_text())
    listed["images"] = [{**listed["images"][0], "id": i, "file_name": f"{i}.png"} for i in range(40)]
    listed["annotations"] = [{**listed["annotations"][0], "id": i, "image_id": i, "area": 0} for i in range(40)]
    path.write_text(json.dumps(listed))
    for number in range(40):
        write(tmp_path / f"images/train/{number}.png", picture((HEIGHT, WIDTH)))
    kept = {"images": "images/train", "annotations": "annotations/instances_train.json"}
    for split in ("train", "valid"):
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always", Notice)
            CocoInstances(str(tmp_path), split, splits={"train": 0.5, "valid": 0.5}, **kept)
        lines = [str(one.message) for one in told]
        for fact in ("areas of 0", "boxes without a mask"):
            assert any(re.match(rf".*instances_train\.json \({split}\): \d+ .*{fact}", line) for line in lines), lines
