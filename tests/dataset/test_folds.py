"""Folds for cross-validation: a partition by hashes of names, groups kept, in folders, lists and COCO files."""

from __future__ import annotations

import hashlib
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from densepred.dataset.coco_instances import CocoInstances
from densepred.dataset.division import chosen_fold, divide, divide_folds
from densepred.dataset.folder import Folder
from densepred.dataset.labelme import Labelme
from densepred.dataset.nifti import Nifti
from densepred.jobs import parts
from densepred.rundir import splits
from densepred.types import UserError
from tests.dataset import coco_tree, labelme_tree, nifti_tree
from tests.dataset.files import picture, write

NAMES = [f"case_{number // 3}/slice_{number}" for number in range(600)]
GROUP = r"^(case_\d+)/"


def slow(name: str, seed: int, count: int) -> int:
    """Return the fold of one name by exact whole numbers: 53 bits of its hash, times the number of folds."""
    digest = hashlib.sha256(f"{seed}\nfold\n{name}".encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) * count >> 53


@pytest.mark.parametrize(("seed", "count"), [(0, 5), (3, 2), (77, 10)])
def test_folds_partition_the_images_by_the_hash_of_each_name(seed: int, count: int) -> None:
    times = dict.fromkeys(NAMES, 0)
    for fold in range(count):
        found = divide_folds(NAMES, (count, fold), seed)
        assert found == ["valid" if slow(name, seed, count) == fold else "train" for name in NAMES]
        assert abs(found.count("valid") - 600 / count) < 50
        for name, place in zip(NAMES, found, strict=True):
            times[name] += place == "valid"
    assert set(times.values()) == {1}


def test_adding_or_removing_a_file_moves_no_other() -> None:
    before = dict(zip(NAMES, divide_folds(NAMES, (5, 2), 0), strict=True))
    other = [*NAMES[:17], "new_a", *NAMES[18:400], "new_b", *NAMES[401:]]
    after = dict(zip(other, divide_folds(other, (5, 2), 0), strict=True))
    assert all(after[name] == before[name] for name in after.keys() & before.keys())


def test_groups_stay_in_one_fold() -> None:
    for fold in range(5):
        found = divide_folds(NAMES, (5, fold), 0, GROUP)
        cases = {place: {n.split("/")[0] for n, p in zip(NAMES, found, strict=True) if p == place} for place in found}
        assert not cases["train"] & cases["valid"]


def test_folds_do_not_depend_on_the_draw_of_the_test_images() -> None:
    kept = [n for n, s in zip(NAMES, divide(NAMES, {"train": 0.5, "test": 0.5}, 0), strict=True) if s == "train"]
    counts = [divide_folds(kept, (5, fold), 0).count("valid") for fold in range(5)]
    assert min(counts) > len(kept) / 5 * 0.6


@pytest.mark.parametrize(
    ("folds", "fold", "words"),
    [
        (None, 0, "dataset.fold: 0, but dataset.folds is not given"),
        (1, 0, "dataset.folds: 1; give 2 or more"),
        (5, 5, "dataset.fold: is 5, with dataset.folds=5; give 0 to 4"),
        (3, None, r"dataset.fold: is not given, with dataset.folds=3; give 0 to 2.*-m dataset.fold=0,1,2"),
    ],
)
def test_folds_that_do_not_exist_are_refused(folds: int | None, fold: int | None, words: str) -> None:
    with pytest.raises(UserError, match=words):
        chosen_fold(folds, fold)


def test_an_empty_fold_is_refused_with_a_seed_that_fills_all() -> None:
    few = list("abcdef")
    seed = next(s for s in range(50) if {slow(name, s, 5) for name in few} != {*range(5)})
    with pytest.raises(
        UserError, match=r"of 5 folds of 6 images, fold . is empty; type fewer, or dataset\.seed="
    ) as got:
        divide_folds(few, (5, 0), seed)
    better = int(str(got.value).rsplit("=", 1)[1])
    assert {slow(name, better, 5) for name in few} == {*range(5)}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for split, count in {"train": 16, "val": 2, "all": 24}.items():
        for number in range(count):
            write(tmp_path / f"images/{split}/{number}.png", picture((4, 4)))
            write(tmp_path / f"masks/{split}/{number}.png", np.eye(4, dtype=np.uint8))
    return tmp_path


def members(root: Path, split: str, **options: Any) -> set[str]:
    return {file.stem for file in Folder(str(root), split=split, classes=2, **options).files()}


def test_folds_divide_the_training_images_and_tell_which_are_unused(tree: Path) -> None:
    with pytest.warns(UserWarning, match=r"unused: 2 images of the valid split; dataset.splits.test=val tests"):
        train = members(tree, "train", folds=3, fold=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        valid = members(tree, "valid", folds=3, fold=1)
        assert members(tree, "test", folds=3, fold=1, splits={"train": "train", "test": "val"}) == {"0", "1"}
    assert train | valid == {str(number) for number in range(16)}
    assert not train & valid
    assert valid == {name for name in map(str, range(16)) if slow(name, 0, 3) == 1}


def test_test_images_of_a_random_split_stay_out_of_every_fold(tree: Path) -> None:
    options: dict[str, Any] = {
        "images": "images/all",
        "masks": "masks/all",
        "splits": {"train": 0.5, "valid": 0.2, "test": 0.3},
    }
    test = members(tree, "test", **options)
    valid = [members(tree, "valid", **options, folds=2, fold=fold) for fold in range(2)]
    assert members(tree, "test", **options, folds=2, fold=0) == test
    assert members(tree, "train", **options, folds=2, fold=0) == valid[1]
    assert not valid[0] & valid[1]
    assert valid[0] | valid[1] | test == {str(number) for number in range(24)}


def test_a_coco_file_is_divided_into_folds(tmp_path: Path) -> None:
    data = coco_tree.instances()
    names = [f"{number}.png" for number in range(12)]
    data["images"] = [{"id": i, "file_name": name, "height": 4, "width": 4} for i, name in enumerate(names)]
    data["annotations"] = [
        coco_tree.note(i, 90, [0, 0, 2, 2], 4, segmentation=[coco_tree.square(0, 0, 2)]) | {"image_id": i}
        for i in range(12)
    ]
    for name in names:
        write(tmp_path / "images" / name, picture((4, 4)))
    path = coco_tree.save(tmp_path, "all", data)
    places: dict[str, Any] = {"root": str(tmp_path), "images": "images", "annotations": "annotations/all.json"}
    found = []
    for fold in range(3):
        one = CocoInstances(**places, split="valid", folds=3, fold=fold)
        rest = CocoInstances(**places, split="train", folds=3, fold=fold)
        found.append({file.stem for file in one.files()})
        assert found[-1] == {str(number) for number in range(12) if slow(str(number), 0, 3) == fold}
        assert found[-1] | {file.stem for file in rest.files()} == {str(number) for number in range(12)}
        assert one.index.kept == len(one)
    path.with_name("all_val.json").write_text(path.read_text())
    places |= {"annotations": "annotations/{split}.json", "splits": {"train": ["all"], "valid": ["all_val"]}}
    with pytest.warns(UserWarning, match=r"divides the images of all.json; all_val.json is unused"):
        CocoInstances(**places, split="train", folds=3, fold=0)


def test_folds_of_tool_files_and_volumes_tell_of_validation_images(tmp_path: Path) -> None:
    for split, count in {"train": 12, "val": 2}.items():
        for number in range(count):
            labelme_tree.save(tmp_path, f"{split}/{number}", [labelme_tree.shape("cat", labelme_tree.SQUARE)])
    told = r"folds: divides the training images; unused: 2 images of the valid split; dataset\.splits\.test=val tests"
    with pytest.warns(UserWarning, match=told):
        Labelme(str(tmp_path), folds=2, fold=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Labelme(str(tmp_path), "valid", folds=2, fold=0)
        Labelme(str(tmp_path), splits={"train": "train", "test": "val"}, folds=2, fold=0)
    pytest.importorskip("nibabel")
    for split, count in {"train": 8, "val": 1}.items():
        for number in range(count):
            nifti_tree.save(tmp_path / split, f"{split}{number}")
    places: dict[str, Any] = {"images": "{split}/imagesTr", "masks": "{split}/labelsTr", "classes": 3}
    with pytest.warns(UserWarning, match="divides the training cases; unused: 1 case of the valid split"):
        Nifti(str(tmp_path), splits={"train": "train", "valid": "val"}, folds=2, fold=0, **places)


def test_the_record_of_splits_names_the_fold(tree: Path, tmp_path: Path) -> None:
    node = {"root": str(tree), "folds": 3, "fold": 1, "seed": 0, "group": None}
    record = parts.record(node, {"valid": Folder(str(tree), split="valid", classes=2, folds=3, fold=1)})
    assert record is not None
    splits.write(tmp_path, record)
    assert json.loads((tmp_path / splits.FILE).read_text())["folds"] == {k: node[k] for k in splits.FOLDS}
    assert splits.read(tmp_path) == record
    other = parts.record(node | {"fold": 2}, {"valid": Folder(str(tree), split="valid", classes=2, folds=3, fold=2)})
    assert other is not None
    assert splits.changes(record, other)[0] == "the run was trained with fold 1 of 3, this is fold 2 of 3"
