from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from densepred.dataset.folder import Folder
from densepred.dataset.nifti import Nifti
from densepred.errors import Notice, UserError
from tests.dataset import divided_trees, nifti_tree
from tests.dataset.layout_trees import NAMES, everything

OF_NNUNET: dict[str, Any] = {"images": "imagesTr", "masks": "labelsTr", "image_suffix": "_0000"}


def names(data: Folder) -> list[str]:
    return [pair.id for pair in data.pairs]


def test_each_fold_of_nnunet_is_as_the_file_has_it(tmp_path: Path) -> None:
    divided_trees.nnunet_folds(tmp_path)
    for number, fold in enumerate(json.loads((tmp_path / "splits_final.json").read_text())):
        for split, key in (("train", "train"), ("valid", "val")):
            data = Folder(str(tmp_path), split, list="splits_final.json", fold=number, **OF_NNUNET)
            assert names(data) == fold[key]


def test_folds_that_are_not_there_are_named(tmp_path: Path) -> None:
    divided_trees.nnunet_folds(tmp_path)
    for fold, folds, text in (
        (None, None, "is not given, and"),
        (2, None, "is 2, and"),
        (0, 5, "dataset.folds: 5, but"),
    ):
        with pytest.raises(UserError, match=text):
            Folder(str(tmp_path), list="splits_final.json", fold=fold, folds=folds, **OF_NNUNET)
    with pytest.raises(UserError, match=r"names no images of test; set dataset\.split"):
        Folder(str(tmp_path), "test", list="splits_final.json", fold=0, **OF_NNUNET)


def test_lists_of_names_choose_files_of_the_folders(tmp_path: Path) -> None:
    everything("images/{}.png", "masks/{}.png")(tmp_path)
    (tmp_path / "images/cell1.png").rename(tmp_path / "images/alone.png")  # not in the list: no matter
    (tmp_path / "train.txt").write_text(f"# a comment\n{NAMES[3]}.png\n\n{NAMES[5]}\n")
    folders: dict[str, Any] = {"images": "images", "masks": "masks"}
    assert names(Folder(str(tmp_path), list="{split}.txt", **folders)) == [NAMES[3], NAMES[5]]
    with pytest.raises(UserError, match=r"lists names of one split; put \{split\} into dataset.list"):
        Folder(str(tmp_path), list="train.txt", **folders)


def test_names_without_files_are_refused_or_counted(tmp_path: Path) -> None:
    everything("images/{}.png", "masks/{}.png")(tmp_path)
    arguments: dict[str, Any] = {"list": "{split}.txt", "images": "images", "masks": "masks"}
    (tmp_path / "train.txt").write_text(f"{NAMES[3]}\nelsewhere\n")
    with pytest.raises(UserError, match="1 name without an image and its mask, such as 'elsewhere'; add them"):
        Folder(str(tmp_path), **arguments)
    with pytest.warns(Notice, match=r"1 name without an image .* left out"):
        assert names(Folder(str(tmp_path), unpaired="skip", **arguments)) == [NAMES[3]]
    (tmp_path / "train.txt").write_text(f"{NAMES[3]}\n{NAMES[3]}\n")
    with pytest.raises(UserError, match=r"lists .* twice"):
        Folder(str(tmp_path), **arguments)


def test_volumes_have_folds_too(tmp_path: Path) -> None:
    for name in ("liver_0", "liver_1", "liver_2"):
        nifti_tree.save(tmp_path, name)
    (tmp_path / "splits_final.json").write_text(json.dumps([{"train": ["liver_0", "liver_2"], "val": ["liver_1"]}]))
    found = {split: Nifti(str(tmp_path), split, list="splits_final.json", fold=0) for split in ("train", "valid")}
    assert [case.name for case in found["train"].cases] == ["liver_0", "liver_2"]
    assert [case.name for case in found["valid"].cases] == ["liver_1"]
    assert found["valid"].info == found["train"].info
    assert np.isfinite(found["train"][0].image.numpy()).all()
