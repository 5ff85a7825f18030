"""Layouts that people bring: each is read at once, or the error holds the words that read it."""

from __future__ import annotations

import re
import shlex
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from densepred.build.instantiate import build
from densepred.contracts import Dataset
from densepred.dataset import layout_json
from densepred.errors import Notice, UserError
from tests.dataset import divided_trees, export_trees
from tests.dataset.files import picture, write
from tests.dataset.layout_trees import (
    NAMES,
    VALID,
    Draw,
    cellpose,
    coco,
    cvat_masks,
    everything,
    halves,
    label_studio,
    labelme,
    nnunet,
    official_coco,
    regions,
    roboflow_coco,
    roboflow_masks,
    truth,
    via,
    voc_boxes,
    yolo,
)

Plain = Callable[..., dict[str, Any]]

LAYOUTS: dict[str, tuple[Draw, str]] = {
    "folders of ours": (halves("images/SPLIT/{}.jpg", "masks/SPLIT/{}.png", {"train": "train", "val": "val"}), ""),
    "valid as a split": (halves("images/SPLIT/{}.jpg", "masks/SPLIT/{}.png", VALID), ""),
    "split above": (halves("SPLIT/images/{}.jpg", "SPLIT/masks/{}.png", VALID), ""),
    "other words": (halves("SPLIT_imgs/{}.jpg", "SPLIT_labels/{}.png", {"train": "training", "val": "validation"}), ""),
    "not divided": (everything("images/{}.jpg", "masks/{}.png"), ""),
    "one folder": (everything("{}.jpg", "{}_mask.png"), ""),
    "one folder, another end": (everything("{}.png", "{}-ids.png"), ""),
    "one folder, extensions": (everything("{}.jpg", "{}.png"), ""),
    "one folder per split": (halves("SPLIT/{}.png", "SPLIT/{}_label.png", VALID), ""),
    "image suffix": (everything("imgs/{}_image.png", "labels/{}_label.png"), ""),
    "camvid": (halves("SPLIT/{}.png", "SPLITannot/{}.png", {"train": "train", "val": "val"}), ""),
    "cellpose": (cellpose, "instances"),
    "cellpose with flows": (export_trees.cellpose_flows, "instances"),
    "cellpose in folders": (export_trees.cellpose_folders, "instances"),
    "segments.ai": (export_trees.segments_masks, "ids"),
    "segments.ai panoptic": (export_trees.segments_panoptic, "instances"),
    "nnunet": (nnunet, "names"),
    "cvat masks": (cvat_masks, "names"),
    "roboflow masks": (roboflow_masks, "names"),
    "official coco": (official_coco, "boxes"),
    "roboflow coco": (roboflow_coco, "boxes"),
    "cvat coco": (coco("annotations/instances_default.json", "images/default/{}.jpg", "{}.jpg"), "boxes"),
    "cvat coco, subfolders": (coco("annotations/instances_default.json", "images/a b/{}.jpg", "a b/{}.jpg"), "boxes"),
    "label studio coco": (coco("result.json", "images/{}.jpg", "images\\{}.jpg"), "boxes"),
    "labelme2coco": (coco("annotations.json", "JPEGImages/{}.jpg", "JPEGImages/{}.jpg"), "boxes"),
    "images beside the json": (coco("data/labels.json", "data/{}.jpg", "{}.jpg"), "boxes"),
    "boxes alone": (coco("result.json", "images/{}.jpg", "images/{}.jpg", outlines=False), "boxes alone"),
    "yolo boxes": (yolo(False, "train: images/train", "val: images/val"), "boxes alone"),
    "yolo polygons": (yolo(True, "path: /elsewhere", "train: images/train", "val: images/val"), "boxes"),
    "yolo of label studio": (yolo(False), "boxes alone"),
    "labelme, one folder": (labelme("{name}"), "boxes"),
    "labelme, folders": (labelme("labels/{split}/{name}"), "boxes"),
    "labelme, other folders": (labelme("marked_{split}/{name}"), "boxes"),
    "via": (via, "boxes"),
    "via csv": (export_trees.via_csv, "boxes"),
    "label studio": (label_studio, "boxes"),
    "voc boxes": (voc_boxes, "boxes alone"),
    "labelme2voc": (export_trees.labelme2voc, "names"),
    "roboflow yolo": (export_trees.roboflow_yolo, "boxes alone"),
    "cvat yolo": (export_trees.cvat_yolo, "boxes alone"),
    "cvat xml": (export_trees.cvat_xml, "boxes"),
    "supervisely": (export_trees.supervisely, "boxes"),
    "darwin": (export_trees.darwin, "boxes"),
    "qupath": (export_trees.geojson, "boxes"),
    "imagej": (export_trees.imagej, "boxes of one class"),
    "roboflow voc": (export_trees.roboflow_voc, "boxes alone"),
    **divided_trees.LAYOUTS,
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_is_read_or_the_error_holds_the_words_that_read_it(layout: str, tmp_path: Path, plain: Plain) -> None:
    draw, kind = LAYOUTS[layout]
    draw(tmp_path)
    typed = [f"dataset.root={tmp_path}"]
    data = followed(plain, typed)
    samples = {sample.frame.id: sample for part in data.values() for sample in (part[i] for i in range(len(part)))}
    assert len(data["train"]) + len(data["valid"]) == len(samples) == len(NAMES)
    for id, sample in samples.items():
        name = re.sub(r"_img$|_(png|jpg)\.rf.*$", "", id.rpartition("/")[2])
        compare(sample.truth, name, kind)
    if kind in ("names", "boxes", "boxes alone"):
        assert [name.removeprefix("a ") for name in data["train"].info.classes[-2:]] == ["wall", "nucleus"]


@pytest.mark.parametrize("layout", ["cvat masks", "roboflow coco", "yolo polygons", "labelme, folders"])
def test_a_layout_in_a_folder_of_its_own_is_found_with_its_root(layout: str, tmp_path: Path, plain: Plain) -> None:
    """Archives are unpacked into one folder more than was typed."""
    draw, _ = LAYOUTS[layout]
    draw(tmp_path / "über 1/export")
    (tmp_path / "über 1/__MACOSX").mkdir()
    data = followed(plain, [f"dataset.root={tmp_path}"])
    assert len(data["train"]) + len(data["valid"]) == len(NAMES)


@pytest.mark.parametrize("deep", ["", "VOCdevkit/VOC2012"])
def test_names_of_images_tell_classes_of_voc_from_others_in_its_folders(
    tmp_path: Path, plain: Plain, deep: str
) -> None:
    root = tmp_path / deep
    for number in range(4):
        write(root / f"JPEGImages/2007_00000{number}.jpg", picture((8, 8)))
        write(root / f"SegmentationClass/2007_00000{number}.png", np.full((8, 8), number % 2, np.uint8))
    for split, lines in {"train": "2007_000000\n2007_000001", "val": "2007_000002\n2007_000003"}.items():
        (root / "ImageSets/Segmentation").mkdir(parents=True, exist_ok=True)
        (root / f"ImageSets/Segmentation/{split}.txt").write_text(lines)
    typed = [f"dataset.root={tmp_path}"]
    assert len(followed(plain, typed)["train"].info.classes) == 21
    for file in [*root.rglob("*.jpg"), *root.rglob("*.png")]:
        file.rename(file.with_name(f"my_{file.name}"))
    for file in root.rglob("*.txt"):
        file.write_text(file.read_text().replace("2007", "my_2007"))
    data = followed(plain, typed)
    assert data["train"].info.classes == ("class_0", "class_1")
    assert [data["valid"][number].frame.id for number in (0, 1)] == ["my_2007_000002", "my_2007_000003"]


def followed(plain: Plain, typed: list[str]) -> dict[str, Dataset]:
    """Build train and valid with the words that errors name, one after another."""
    words = ["dataset=folder"]
    for _ in range(3):
        try:
            return splits(plain, *typed, *words)
        except UserError as error:
            said = str(error)
        assert "\n" not in said
        found = re.search(r"; (?:this looks like [^:]*: |.*, or )type (dataset[.=].*)$", said)
        assert found, said
        new = shlex.split(found[1])
        words = new if new[0].startswith("dataset=") else words + new
    raise AssertionError(words)


def splits(plain: Plain, *words: str) -> dict[str, Dataset]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Notice)
        factory = build(plain(*words)["dataset"])
        return {split: factory(split=split) for split in ("train", "valid")}


def compare(found: Any, name: str, kind: str) -> None:
    expected = truth(name)
    if kind == "boxes alone":
        assert found.semantic is None
    elif kind == "instances":
        assert torch.equal(found.instances, torch.from_numpy(expected.astype(np.int32)))
    elif kind == "boxes of one class":
        assert torch.equal(found.semantic, torch.from_numpy(expected > 0).to(torch.uint8))
    elif kind == "boxes":  # categories are in the order of the file; Roboflow's group takes a class of its own
        first = 1 if int(found.semantic.max()) == 2 else 2
        assert torch.equal(found.semantic > 0, torch.from_numpy(expected > 0))
        assert torch.equal(found.semantic == first, torch.from_numpy(expected == 1))
    else:
        assert torch.equal(found.semantic, torch.from_numpy(expected))
    if "boxes" in kind:
        corners = [[x - 0.5, y - 0.5, x + width - 0.5, y + height - 0.5] for x, y, width, height in regions(name)]
        assert found.boxes.tolist() == corners


UNREAD: dict[str, tuple[Draw, str]] = {
    "label studio png": (export_trees.brushes, r"Label Studio's .*; export as JSON, and type dataset=label_studio$"),
    "cellpose's pickles": (
        export_trees.cellpose_pickles,
        r"_seg\.npy, a pickle, .*; export the masks as PNG \(Ctrl\+N",
    ),
    "superannotate": (
        export_trees.superannotate,
        r"SuperAnnotate's .*export_annotation\('DIR'.*dataset=coco_instances$",
    ),
    "labelbox": (export_trees.labelbox, r"Labelbox's JSON, which no dataset reads; export as COCO"),
    "make sense": (export_trees.make_sense, r"Make Sense's CSV.*in VOC XML format .*type dataset=voc_detection$"),
    "dataloop": (
        export_trees.dataloop,
        r"Dataloop's JSON.*convert_dataset\(dataset.*coco_instances$",
    ),
    "scale": (export_trees.scale, r"tasks of Scale AI, which no dataset reads; export as COCO"),
    "coco alone": (export_trees.coco_alone, r"result\.json\) without its images: 'cell1\.jpg' is missing; put the im"),
    "xml of MIT's LabelMe": (export_trees.labelme_xml, r"XML form of MIT.*export as COCO \(datum .*coco_instances$"),
    **divided_trees.UNREAD,
}


@pytest.mark.parametrize("tool", UNREAD)
def test_a_form_that_no_dataset_reads_is_named_with_another_export(tool: str, tmp_path: Path, plain: Plain) -> None:
    draw, words = UNREAD[tool]
    draw(tmp_path)
    with pytest.raises(UserError, match=words):
        splits(plain, "dataset=folder", f"dataset.root={tmp_path}")


def test_a_project_of_deeplabcut_is_recognised(tmp_path: Path, plain: Plain) -> None:
    export_trees.deeplabcut(tmp_path)
    data = followed(plain, [f"dataset.root={tmp_path}"])
    assert data["train"].info.keypoints == ("snout", "tail")


def test_images_in_deep_folders_are_not_missing(tmp_path: Path, plain: Plain) -> None:
    export_trees.coco_alone(tmp_path)
    write(tmp_path / "a/b/c/d/e/cell1.jpg", picture((8, 8)))
    with pytest.raises(UserError, match=r"images/train: is no folder; check dataset\.root"):
        splits(plain, "dataset=folder", f"dataset.root={tmp_path}")


def test_a_root_of_very_many_entries_is_not_searched_to_its_end(
    tmp_path: Path, plain: Plain, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_trees.coco_alone(tmp_path)
    for number in range(9):
        (tmp_path / f"folder_{number}").mkdir()
    monkeypatch.setattr(layout_json, "WALKED", 5)
    with pytest.raises(UserError, match=r"images/train: is no folder; check dataset\.root"):
        splits(plain, "dataset=folder", f"dataset.root={tmp_path}")
