"""Names of splits are read as they are typed; another word counts in their absence alone, with a notice."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from densepred.contracts import Dataset
from densepred.dataset.cvat import Cvat
from densepred.dataset.folder import Folder
from densepred.dataset.labelme import Labelme
from densepred.dataset.voc_detection import VocDetection
from densepred.dataset.yolo import Yolo
from densepred.errors import Notice, UserError
from tests.dataset import cvat_tree, labelme_tree, voc_detection_tree, yolo_tree
from tests.dataset.files import picture, write

WORDS = ("train", "valid", "small", "test")


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    """A list with a line, and an image of its name, for each of WORDS."""
    for word in WORDS:
        write(tmp_path / f"{word}.png", picture((4, 4)))
        write(tmp_path / f"{word}_mask.png", np.eye(4, dtype=np.uint8))
    rows = [f"{word}.png,{word}_mask.png,{word}" for word in WORDS]
    (tmp_path / "list.csv").write_text("\n".join(["image,mask,split", *rows]))
    return tmp_path


def read(data: Callable[[], Dataset]) -> tuple[list[str], str]:
    """Return the names of the images of a dataset, and what notices tell of how it is read."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", Notice)
        found = [path.stem for path in data().files() or ()]
    return found, "\n".join(str(one.message) for one in told)


def pairs(root: Path, split: str, **splits: str) -> tuple[list[str], str]:
    return read(lambda: Folder(str(root), split, splits or None, list="list.csv"))


def test_a_column_of_splits_is_read_by_the_word_that_is_typed(listed: Path) -> None:
    assert pairs(listed, "valid", train="train", valid="small") == (["small"], "")
    assert pairs(listed, "test", train="train", test="small") == (["small"], "")
    swapped = {"train": "valid", "valid": "train"}
    assert [pairs(listed, split, **swapped)[0] for split in ("train", "valid")] == [["valid"], ["train"]]


def test_other_words_of_the_column_give_a_notice(listed: Path) -> None:
    found, told = pairs(listed, "valid")
    assert found == ["valid"]
    assert "no line has the split 'val', so valid is read from 'valid'; dataset.splits.valid chooses another" in told
    assert (
        "2 lines unused, because in no split (such as 'valid')"
        in pairs(listed, "train", train="train", valid="small")[1]
    )


def test_a_subset_of_cvat_is_the_one_that_is_typed(tmp_path: Path) -> None:
    shape = cvat_tree.shape("polygon", points=cvat_tree.SQUARE)
    for word in ("Train", "Validation", "Small"):
        cvat_tree.save(tmp_path, word, shape, subset=word)
    typed, absent = {"train": "train", "valid": "small"}, {"train": "train", "valid": "holdout"}
    assert read(lambda: Cvat(str(tmp_path), "valid", typed))[0] == ["Small"]
    found, told = read(lambda: Cvat(str(tmp_path), "valid"))
    assert (found, "subsets" in told) == (["Validation"], False)
    found, told = read(lambda: Cvat(str(tmp_path), "valid", absent))
    assert found == ["Validation"]
    assert "read as valid from validation, because no subsets are called holdout" in told
    _, told = read(lambda: Cvat(str(tmp_path), "train", typed))
    assert "1 image of subsets that dataset.splits does not name, left out" in told


def test_another_folder_or_list_than_the_typed_one_gives_a_notice(tmp_path: Path) -> None:
    datasets: tuple[tuple[Any, str], ...] = ((Labelme, "labelme"), (VocDetection, "voc"))
    for split in ("train", "val"):
        labelme_tree.tree(tmp_path / "labelme", split)
        voc_detection_tree.tree(tmp_path / "voc", split)
    for dataset, folder in datasets:
        usual, chosen = (
            read(partial(dataset, str(tmp_path / folder), "valid", splits))
            for splits in (None, {"train": "train", "valid": "holdout"})
        )
        assert usual[0] == chosen[0]
        assert "because" not in usual[1]
        assert "read as valid, because no annotations are called holdout" in chosen[1]


def test_yolo_reads_the_images_of_the_name_that_is_typed(tmp_path: Path) -> None:
    for split in ("train", "val", "test"):
        yolo_tree.tree(tmp_path, split)
    found = Yolo(str(tmp_path), "valid", {"train": "train", "valid": "test"})
    assert {path.parent.name for path in found.files()} == {"test"}
    with pytest.warns(Notice, match="images of valid are in no split of dataset.splits"):
        Yolo(str(tmp_path), "train", {"train": "train", "valid": "test"})
    with pytest.raises(UserError, match=r"names no images for holdout, only for train, valid, test; .*dataset\.splits"):
        Yolo(str(tmp_path), "valid", {"train": "train", "valid": "holdout"})
