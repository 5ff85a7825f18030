"""Layouts of training and test images without validation: the words keep the test apart."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from densepred.build.instantiate import build
from densepred.contracts import Dataset
from densepred.errors import UserError
from tests.dataset import divided_trees, export_trees, layout_trees
from tests.dataset.layout_trees import SPLITS, VALID, Draw, halves

Plain = Callable[..., dict[str, Any]]
TEST = {"train": "train", "val": "test"}


def renamed(draw: Draw, *folders: str, file: str = "") -> Draw:
    """Draw a layout, and call its folders of validation, and their names in a file, as those of a test."""

    def drawn(root: Path) -> None:
        draw(root)
        for folder in folders:
            (root / folder).rename(root / folder.replace("valid", "test").replace("val", "test"))
        if file:
            text = (root / file).read_text()
            (root / file).write_text(text.replace("val: ../valid/images\ntest: ../test/images", "test: ../test/images"))

    return drawn


def kitti(root: Path) -> None:
    """Draw the archive of KITTI, in which the images of the test have no labels."""
    divided_trees.kitti(root)
    (root / "train").rename(root / "training")
    (root / "val").rename(root / "testing")
    for name in ("semantic", "instance", "semantic_rgb"):
        shutil.rmtree(root / "testing" / name)


def cvat_masks(root: Path) -> None:
    divided_trees.cvat_subsets(root)
    lists = root / "ImageSets/Segmentation"
    (lists / "Validation.txt").rename(lists / "Test.txt")


def cvat_xml(root: Path) -> None:
    """Draw subsets of a project of CVAT in one file."""
    export_trees.cvat_xml(root)
    text = (root / "annotations.xml").read_text()
    for split, name in (("train", "Train"), ("val", "Test")):
        for one in SPLITS[split]:
            text = text.replace(f'name="{one}.jpg"', f'name="{one}.jpg" subset="{name}"')
    (root / "annotations.xml").write_text(text)


LAYOUTS: dict[str, Draw] = {
    "labelme": renamed(layout_trees.labelme("labels/{split}/{name}"), "labels/val"),
    "roboflow coco": renamed(layout_trees.roboflow_coco, "valid"),
    "roboflow yolo": renamed(export_trees.roboflow_yolo, "valid", file="data.yaml"),
    "roboflow voc": renamed(export_trees.roboflow_voc, "valid"),
    "roboflow masks": renamed(layout_trees.roboflow_masks, "valid"),
    "folders": halves("SPLIT/imgs/{}.jpg", "SPLIT/masks/{}.png", TEST),
    "cvat masks": cvat_masks,
    "cvat xml": cvat_xml,
}


def words_for(root: Path, plain: Plain) -> list[str]:
    """Return the words of the error, with fewer folds: by chance one of five holds none of eight images."""
    with pytest.raises(UserError) as error:
        build(plain("dataset=folder", f"dataset.root={root}")["dataset"])(split="train")
    words = shlex.split(str(error.value).rpartition(": type ")[2])
    assert words[0].startswith("dataset=")
    return [word.replace("folds=5", "folds=2") for word in words] + [f"dataset.root={root}"]


def names_of(data: Dataset) -> set[str]:
    return {path.name.partition("_")[0].partition(".")[0] for path in data.files() or ()}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_validation_is_taken_from_training_and_the_test_stays_apart(layout: str, tmp_path: Path, plain: Plain) -> None:
    LAYOUTS[layout](tmp_path)
    words = words_for(tmp_path, plain)
    factory = build(plain(*words)["dataset"])
    names = {split: names_of(factory(split=split)) for split in ("train", "valid", "test")}
    assert names["test"] == {*SPLITS["val"]}
    assert names["train"] | names["valid"] == {*SPLITS["train"]}
    assert not names["train"] & names["valid"]


def unlabelled(root: Path) -> None:
    """Draw masks beside images of training, and images of a test alone."""
    renamed(halves("SPLIT/{}.png", "SPLIT/{}_label.png", VALID), "valid")(root)
    for path in (root / "test").glob("*_label.png"):
        path.unlink()


@pytest.mark.parametrize("draw", [kitti, unlabelled])
def test_images_of_a_test_without_labels_are_not_divided(draw: Draw, tmp_path: Path, plain: Plain) -> None:
    draw(tmp_path)
    factory = build(plain(*words_for(tmp_path, plain))["dataset"])
    names = [names_of(factory(split=split)) for split in ("train", "valid")]
    assert names[0] | names[1] == {*SPLITS["train"]}
    assert names[0]
    assert names[1]


@pytest.mark.parametrize("option", ["folder", "labelme", "coco_instances"])
def test_an_absent_validation_is_offered_as_a_fold(option: str, tmp_path: Path, plain: Plain) -> None:
    draw = {
        "folder": halves("images/SPLIT/{}.jpg", "masks/SPLIT/{}.png", TEST),
        "labelme": renamed(layout_trees.labelme("labels/{split}/{name}"), "labels/val"),
        "coco_instances": renamed(layout_trees.roboflow_coco, "valid"),
    }[option]
    draw(tmp_path)
    words = [f"dataset={option}", f"dataset.root={tmp_path}"]
    if option == "coco_instances":
        words += ['dataset.annotations="{split}/_annotations.coco.json"', 'dataset.images="{split}"']
    factory = build(plain(*words)["dataset"])
    assert len(factory(split="train")) == len(SPLITS["train"])
    with pytest.raises(UserError, match=r"type .*dataset\.folds=5 dataset\.fold=0"):
        factory(split="valid")
