"""Images in two splits are refused for every kind of dataset."""

from __future__ import annotations

import contextlib
import json
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from densepred.dataset.coco_instances import CocoInstances
from densepred.dataset.coco_keypoints import CocoKeypoints
from densepred.dataset.coco_panoptic import CocoPanoptic
from densepred.dataset.folder import Folder
from densepred.dataset.instance_folder import InstanceFolder
from densepred.dataset.mpii import Mpii
from densepred.dataset.voc import Voc
from densepred.errors import Notice
from densepred.jobs import overlap, parts
from densepred.types import UserError
from tests.dataset import cityscapes_tree, coco_tree, folder_tree, mpii_tree, voc_tree
from tests.dataset.files import picture, write

Make = Callable[..., Any]


def compare(make: Make, root: Path, allowed: bool = False, **more: Any) -> None:
    overlap.check(
        "train", make(str(root), split="train", **more), "valid", make(str(root), split="valid", **more), allowed
    )


def test_folders_without_a_split_in_their_paths(tmp_path: Path) -> None:
    folder_tree.tree(tmp_path, "train")
    places = {"images": "images/train", "masks": "masks/train"}
    with pytest.raises(
        UserError, match=r"2 of the 2 images of valid are also in train .*\{train: 0\.8, valid: 0\.2\}'"
    ):
        compare(Folder, tmp_path, **places)
    with pytest.raises(UserError, match="2 of the 2 images"):
        compare(InstanceFolder, tmp_path, images="images/train", masks="instances/train")
    with pytest.warns(Notice, match="scores on valid tell how well the model remembers"):
        compare(Folder, tmp_path, allowed=True, **places)


def test_links_to_the_same_file(tmp_path: Path) -> None:
    for split in ("train", "val"):
        folder_tree.tree(tmp_path, split)
    compare(Folder, tmp_path)
    (tmp_path / "images/val/b.png").unlink()
    (tmp_path / "images/val/b.png").symlink_to(tmp_path / "images/train/a.png")
    with pytest.raises(UserError, match=r"1 of the 2 images of valid are also in train .*train/a\.png = .*val/b\.png"):
        compare(Folder, tmp_path)
    (tmp_path / "images/val/b.png").unlink()
    os.link(tmp_path / "images/train/b.png", tmp_path / "images/val/b.png")
    with pytest.raises(UserError, match="1 of the 2 images"):
        compare(Folder, tmp_path)


def test_lists_per_split(tmp_path: Path) -> None:
    folder_tree.tree(tmp_path, "train")
    names = [f"images/train/{name}.png,masks/train/{name}.png" for name in "ab"]
    (tmp_path / "train.csv").write_text("\n".join(["image,mask", *names]))
    (tmp_path / "val.csv").write_text("\n".join(["image,mask", f"./{names[1]}"]))
    with pytest.raises(UserError, match=r"1 of the 1 images of valid .*images/train/b\.png"):
        compare(Folder, tmp_path, list="{split}.csv")


@pytest.mark.parametrize(
    ("make", "kind"), [(CocoInstances, "instances"), (CocoKeypoints, "person_keypoints"), (CocoPanoptic, "panoptic")]
)
def test_coco_files_that_share_images(tmp_path: Path, make: Make, kind: str) -> None:
    coco_tree.tree(tmp_path, "train2017")
    places: dict[str, Any] = {"annotations": f"annotations/{kind}_train2017.json", "images": "train2017"}
    if kind == "panoptic":
        places["panoptic"] = "annotations/panoptic_train2017"
    with pytest.raises(UserError, match="2 of the 2 images of valid"):
        compare(make, tmp_path, **places)
    splits = {"train": 0.5, "valid": 0.5}
    seed = next(seed for seed in range(20) if _fills(make, tmp_path, splits, seed, places))
    parts = [make(str(tmp_path), split=split, splits=splits, seed=seed, **places) for split in splits]
    assert sorted(part[0].frame.id for part in parts) == ["a", "b"]
    compare(make, tmp_path, splits=splits, seed=seed, **places)


def _fills(make: Make, root: Path, splits: dict[str, float], seed: int, places: dict[str, Any]) -> bool:
    try:
        return len(make(str(root), splits=splits, seed=seed, **places)) == 1
    except UserError:
        return False


def test_fractions_of_a_coco_file_need_no_split_in_paths(tmp_path: Path) -> None:
    images = [{"id": n, "file_name": f"{n}.png", "height": 37, "width": 45} for n in range(30)]
    for entry in images:
        write(tmp_path / "images" / entry["file_name"], picture((37, 45)))
    note = coco_tree.note(0, 3, [1, 1, 9, 9], 81, segmentation=[coco_tree.square(1, 1, 9)])
    notes = [{**note, "id": n, "image_id": n} for n in range(30)]
    data = {"images": images, "annotations": notes, "categories": [{"id": 3, "name": "cat"}]}
    coco_tree.save(tmp_path, "instances", json.dumps(data))
    parts = [CocoInstances(str(tmp_path), split=s, splits={"train": 0.7, "valid": 0.3}) for s in ("train", "valid")]
    names = [{part[i].frame.id for i in range(len(part))} for part in parts]
    assert names[0] | names[1] == {str(n) for n in range(30)}
    assert not names[0] & names[1]
    assert all(len(part[i].truth.categories) == 1 for part in parts for i in range(len(part)))


def test_mpii_and_voc(tmp_path: Path) -> None:
    for split in mpii_tree.SPLITS:
        mpii_tree.tree(tmp_path / "mpii", split)
    with pytest.raises(UserError, match="2 of the 2 images of valid"):
        compare(Mpii, tmp_path / "mpii")
    for split in ("train", "val"):
        voc_tree.tree(tmp_path / "voc", split)
    compare(Voc, tmp_path / "voc")
    with pytest.raises(UserError, match="1 of the 1 images of test are also in valid"):
        overlap.check("valid", Voc(str(tmp_path / "voc"), "valid"), "test", Voc(str(tmp_path / "voc"), "test"), False)
    with pytest.raises(UserError, match=r"dataset\.splits: valid=0\.2; the splits of this dataset"):
        Voc(str(tmp_path / "voc"), "valid", {"train": 0.8, "valid": 0.2})  # type: ignore[dict-item]


@pytest.mark.parametrize(("option", "place"), [("voc", "val"), ("cityscapes", "val"), ("mpii", "valid")])
def test_a_tree_without_a_test_set_is_named(plain: Callable[..., Any], option: str, place: str, tmp_path: Path) -> None:
    trees = {"voc": voc_tree, "cityscapes": cityscapes_tree, "mpii": mpii_tree}
    for split in ("train", place):
        trees[option].tree(tmp_path, split)
    node = plain(f"dataset={option}", f"dataset.root={tmp_path}")["dataset"]
    data = parts.dataset(node, "test")
    with pytest.raises(UserError, match=rf"test the images of valid \({place}\), because .* type dataset\.split=valid"):
        overlap.check_test(node, data, False)
    with pytest.warns(Notice, match="images of test are also in valid"), contextlib.suppress(UserError):
        overlap.check_test(node, data, True)


def test_coco_has_no_test_images_in_place_of_missing_ones(tmp_path: Path) -> None:
    for split in ("train2017", "val2017"):
        coco_tree.tree(tmp_path, split)
    with pytest.raises(UserError, match=r"instances_test2017\.json: is missing"):
        CocoInstances(str(tmp_path), split="test")


def test_copies_under_other_names_are_counted(tmp_path: Path) -> None:
    for split in ("train", "val"):
        folder_tree.tree(tmp_path, split)
    with warnings.catch_warnings():
        warnings.simplefilter("error", Notice)
        compare(Folder, tmp_path)
    source = next((tmp_path / "images/train").iterdir())
    for kind in ("images", "masks"):
        (tmp_path / kind / "val/copy.png").write_bytes((tmp_path / kind / "train" / f"{source.stem}.png").read_bytes())
    with pytest.warns(Notice, match=r"1 of the 3 images of valid are copies of images of train \(.* = .*copy\.png\)"):
        compare(Folder, tmp_path)
