"""Annotations without their image are refused with their names, or left out with a line."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from densepred.build.instantiate import build
from densepred.errors import Misfit, Notice
from tests.dataset import cvat_tree, label_studio_tree, labelme_tree, trees, via_tree, voc_detection_tree
from tests.dataset.files import picture, write
from tests.inspection.drawn import found

Plain = Callable[..., dict[str, Any]]
OPTIONS = (
    "cvat",
    "darwin",
    "imagej",
    "label_studio",
    "labelme",
    "qupath",
    "supervisely",
    "via",
    "voc_detection",
    "yolo",
)
ADDED = {
    "darwin": "annotations/train/gone.json",
    "imagej": "train/gone.zip",
    "qupath": "train/gone.geojson",
    "supervisely": "train/ann/gone.png.json",
}
"""Copies of an annotation file, of an image that is not there."""


def lose(option: str, root: Path) -> str:
    """Draw the tree of an option, add annotations of an image that is not there, and return its name."""
    trees.draw(option, root)
    if option in ADDED:
        return copied(root, ADDED[option])
    if option == "yolo":
        (root / "labels/train/gone.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    elif option == "labelme":
        labelme_tree.save(root, "train/gone", [labelme_tree.shape("cat", labelme_tree.SQUARE)])
        (root / "train/gone.jpg").unlink()
    elif option == "voc_detection":
        (root / "Annotations/gone.xml").write_text(voc_detection_tree.xml("gone.jpg", ("cat", 0, 1, 1, 9, 9)))
        (root / "ImageSets/Main/train.txt").write_text("train_a\ngone\n")
    elif option == "cvat":
        cvat_tree.save(root, "gone", cvat_tree.shape("polygon", points=cvat_tree.SQUARE))
        (root / "images/gone.png").unlink()
    elif option == "label_studio":
        result = label_studio_tree.result("rectanglelabels", "cat", x=1, y=1, width=9, height=9)
        path = root / "train.json"
        tasks = [label_studio_tree.task(7, "gone.png", result)]
        path.write_text(json.dumps(json.loads(path.read_text()) + tasks))
    else:
        path = root / "train/via_region_data.json"
        entry = {"filename": "gone.jpg", "size": 1, "regions": [via_tree.region(via_tree.SQUARE, kind="cat")]}
        path.write_text(json.dumps(json.loads(path.read_text()) | {"gone.jpg1": entry}))
    return "gone" if option == "yolo" else f"gone.{'png' if option in ('cvat', 'label_studio') else 'jpg'}"


def copied(root: Path, place: str) -> str:
    """Write the annotation file of the training image again at `place`, and return the name of the image it lacks."""
    path = root / place
    (known,) = path.parent.iterdir() if path.parent.name != "train" else path.parent.glob(f"*{path.suffix}")
    path.write_bytes(known.read_bytes().replace(b"train.png", b"gone.png"))
    return "gone" if path.suffix in (".zip", ".geojson") else "gone.png"


@pytest.mark.parametrize("option", OPTIONS)
def test_annotations_without_an_image_are_refused_or_left_out(option: str, tmp_path: Path, plain: Plain) -> None:
    name = lose(option, tmp_path)
    node = plain(f"dataset={option}", f"dataset.root={tmp_path}")["dataset"]
    with pytest.raises(Misfit, match=rf"its image '{name}' is missing; .*dataset\.unpaired=skip") as caught:
        build(node)(split="train")
    assert (caught.value.cause, caught.value.names) == ("unpaired", (name,))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", Notice)
        data = build({**node, "unpaired": "skip"})(split="train")
    assert any("1 annotated image is missing, and left out" in str(one.message) for one in told)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Notice)
        alone = build({**node, "root": str(sound(option, tmp_path / "sound"))})(split="train")
    assert len(data) == len(alone)


def sound(option: str, root: Path) -> Path:
    trees.draw(option, root)
    return root


def test_the_check_lists_all_files_without_an_image(tmp_path: Path) -> None:
    for name in ("one", "two"):
        labelme_tree.save(tmp_path, f"train/{name}", [labelme_tree.shape("cat", labelme_tree.SQUARE)])
        (tmp_path / f"train/{name}.jpg").unlink()
    labelme_tree.tree(tmp_path, "train")
    labelme_tree.tree(tmp_path, "val")
    code, faults = found(tmp_path, option="labelme")
    assert code == 2
    assert faults["unpaired"]["samples"] == ["one.jpg", "two.jpg"]
    assert found(tmp_path, "dataset.unpaired=skip", "labelme")[0] == 0


@pytest.mark.parametrize(("option", "kind"), [("labelme", "a JSON"), ("voc_detection", "an XML")])
def test_images_that_were_not_annotated_are_counted(option: str, kind: str, tmp_path: Path, plain: Plain) -> None:
    trees.draw(option, tmp_path)
    folder = tmp_path / ("train" if option == "labelme" else "JPEGImages")
    write(folder / "new.png", picture((20, 40)))
    divided = ["dataset.splits={train: 0.5, valid: 0.5}"] if option == "voc_detection" else []
    node = plain(f"dataset={option}", f"dataset.root={tmp_path}", *divided)["dataset"]
    with pytest.warns(Notice, match=f"1 image without {kind} file, left out"):
        build(node)(split="train")


def test_lines_of_a_list_without_their_files_are_refused_or_left_out(tmp_path: Path, plain: Plain) -> None:
    for name in ("a", "b", "c"):
        write(tmp_path / f"{name}.png", picture((20, 40)))
        write(tmp_path / f"{name}_mask.png", np.arange(800).reshape(20, 40).astype(np.uint8) % 2)
    (tmp_path / "b_mask.png").unlink()
    rows = "".join(f"{name}.png,{name}_mask.png,train\n" for name in ("a", "b", "c"))
    (tmp_path / "pairs.csv").write_text(f"image,mask,split\n{rows}")
    node = plain("dataset=folder", f"dataset.root={tmp_path}", "dataset.list=pairs.csv")["dataset"]
    expected = r"files of 1 line are missing, such as 'b_mask\.png'; .*dataset\.unpaired=skip"
    with pytest.raises(Misfit, match=expected) as caught:
        build(node)(split="train")
    assert caught.value.names == (str(tmp_path / "b_mask.png"),)
    with pytest.warns(Notice, match=r"1 line are missing.*left out, so that 2 lines stay \(dataset\.unpaired=skip\)"):
        assert len(build({**node, "unpaired": "skip"})(split="train")) == 2
