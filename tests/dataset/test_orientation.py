"""The orientation of labels, from the training images to the checkpoint and to predictions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from densepred import predictor
from densepred.build.allowlist import check_info
from densepred.dataset.coco_instances import CocoInstances
from densepred.dataset.folder import Folder
from densepred.dataset.image import read_as_trained
from densepred.dataset.mpii import Mpii
from densepred.errors import Notice, UserError
from densepred.weights.header import with_orientation
from tests import running
from tests.dataset import mpii_tree
from tests.dataset.files import write

RANDOM = np.random.default_rng(0)
STORED, UPRIGHT = (16, 24), (24, 16)  # of images with orientation 6


def photo(path: Path, orientation: int = 6, size: tuple[int, int] = STORED) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    write(path, RANDOM.integers(0, 256, (*size, 3), np.uint8), exif=exif)


def tree(root: Path, size: tuple[int, int], kind: str = "jpg") -> Path:
    """Write turned photos with masks of this size."""
    for split in ("train", "val"):
        for number in range(4):
            photo(root / f"images/{split}/{number}.{kind}")
            write(root / f"masks/{split}/{number}.png", RANDOM.integers(0, 2, size, np.uint8))
    return root


@pytest.mark.parametrize("kind", ["jpg", "png", "tif"])
@pytest.mark.parametrize(("size", "expected"), [(STORED, "stored"), (UPRIGHT, "upright")])
def test_auto_becomes_the_orientation_that_masks_fit(
    tmp_path: Path, size: tuple[int, int], expected: str, kind: str
) -> None:
    data = Folder(str(tree(tmp_path, size, kind)))
    assert data.info.exif == expected
    assert data[0].image.shape[1:] == size
    how = "as stored" if expected == "stored" else "as viewers show them"
    assert data.images_line().endswith(f"EXIF orientation in 4 of 4: read {how}")


def test_images_that_are_not_turned_leave_it_open_and_masks_that_disagree_are_named(tmp_path: Path) -> None:
    root = tree(tmp_path, STORED)
    write(root / "masks/train/0.png", RANDOM.integers(0, 2, UPRIGHT, np.uint8))
    with pytest.warns(Notice, match=r"dataset\.exif: .* fit 3 stored and 1 upright"):
        assert Folder(str(root)).info.exif == "auto"
    for number in range(4):
        photo(root / f"images/train/{number}.jpg", 1, UPRIGHT if number == 0 else STORED)
    assert Folder(str(root)).info.exif == "auto"
    assert Folder(str(root), exif="stored").info.exif == "stored"


def test_sizes_in_a_coco_file_decide_too(tmp_path: Path) -> None:
    photo(tmp_path / "train/a.jpg")
    for (height, width), expected in ((STORED, "stored"), (UPRIGHT, "upright")):
        images = [{"id": 1, "file_name": "a.jpg", "height": height, "width": width}]
        notes = [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 9, 9], "segmentation": []}]
        data = {"images": images, "annotations": notes, "categories": [{"id": 1, "name": "cell"}]}
        path = tmp_path / "annotations/instances_train.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(data))
        assert CocoInstances(str(tmp_path)).info.exif == expected


def test_predictions_read_mpii_as_training_does(tmp_path: Path) -> None:
    mpii_tree.tree(tmp_path, "train")
    file = Mpii(str(tmp_path)).files()[0]
    photo(file)
    data = Mpii(str(tmp_path))
    assert data[0].image.shape[1:] == STORED
    assert torch.equal(read_as_trained(file, data.info).image, data[0].image)


@pytest.mark.parametrize("words", [("dataset.exif=stored",), ()])
def test_predictions_lie_as_the_masks_of_training(tmp_path: Path, words: tuple[str, ...]) -> None:
    """Stored pixels and upright ones are equal as arrays, so predictions must be those of one or the other."""
    root = tree(tmp_path / "data", STORED)
    more = ("dataset=folder", f"dataset.root={root}", "model=unet", "encoder.widths=[4,8]", "trainer.max_steps=1")
    running.training.work(running.bare_job(tmp_path / "run", *more, *words, "data.batch_size=2", "transform=none"))
    model, path = predictor.load(tmp_path / "run", "cpu"), root / "images/val/0.jpg"
    with Image.open(path) as image:
        expected = model(np.asarray(image)).semantic
        assert torch.equal(model(image).semantic, expected)
    assert torch.equal(model(path).semantic, expected)
    assert expected.shape == STORED


def without_exif(*overrides: str) -> dict:
    return {"info": {"channels": 3}, "dataset": {"option": "folder", "overrides": list(overrides)}}


def test_headers_from_before_hold_what_was_typed() -> None:
    assert with_orientation(without_exif("dataset.root=x", "dataset.exif=stored"))["exif"] == "stored"
    assert "exif" not in with_orientation(without_exif("dataset.exif=sideways"))
    assert with_orientation({"info": {"exif": "upright"}, "dataset": {"overrides": ["dataset.exif=stored"]}}) == {
        "exif": "upright"
    }
    for damaged in (None, [], {"overrides": [1]}, {"overrides": "dataset.exif=stored"}):
        assert with_orientation({"info": {}, "dataset": damaged}) == {}


@pytest.mark.parametrize("value", ["sideways", 6, None, ["stored"]])
def test_an_orientation_in_a_foreign_header_is_a_known_word(value: object) -> None:
    check_info({"exif": "stored"})
    with pytest.raises(UserError, match=r"info\.exif"):
        check_info({"exif": value})
