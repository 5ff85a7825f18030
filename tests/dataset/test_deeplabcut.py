from __future__ import annotations

from pathlib import Path

import pytest

from densepred.dataset.deeplabcut import DeepLabCut
from densepred.dataset.folder import Folder
from densepred.errors import Notice, UserError
from tests.dataset.deeplabcut_tree import table, tree

WHOLE = {"train": 1.0}


def labels(root: Path, video: str = "day1") -> Path:
    return root / f"labeled-data/{video}/CollectedData_ada.csv"


@pytest.mark.parametrize("index", [1, 3], ids=["one column of names", "three"])
def test_keypoints_of_one_animal(index: int, tmp_path: Path) -> None:
    rows = {"a.png": [30.5, 25, 50, 35], "b.png": [5, 6, "", ""], "c.png": ["", "", "", ""]}
    table(labels(tmp_path), rows, index=index)
    data = DeepLabCut(str(tmp_path), splits=WHOLE, margin=10)
    assert data.info.keypoints == ("snout", "tail")
    truths = {path.name: data[i].truth for i, path in enumerate(data.files())}
    assert truths["a.png"].need("keypoints").tolist() == [[[30.5, 25, 2], [50, 35, 2]]]
    assert truths["a.png"].need("boxes").tolist() == [[20.5, 15, 60, 45]]
    assert truths["b.png"].need("keypoints").tolist() == [[[5, 6, 2], [0, 0, 0]]]
    assert truths["b.png"].need("boxes").tolist() == [[-0.5, -0.5, 15, 16]]  # within the image
    assert len(truths["c.png"].need("keypoints")) == 0


def test_several_animals_and_unique_parts(tmp_path: Path) -> None:
    rows = {"a.png": [1, 2, 3, 4, 11, 12, "", "", 50, 50, 60, 60]}
    table(labels(tmp_path), rows, ["rat1", "rat2", "single"])
    with pytest.warns(Notice, match=r"1 video whose unique body parts \(snout, tail\) are left out"):
        data = DeepLabCut(str(tmp_path), splits=WHOLE)
    expected = [[[1, 2, 2], [3, 4, 2]], [[11, 12, 2], [0, 0, 0]]]
    assert data[0].truth.need("keypoints").tolist() == expected
    assert data.info.classes == ("animal",)


def test_body_parts_that_a_video_lacks_are_named(tmp_path: Path) -> None:
    table(labels(tmp_path), {"a.png": [1, 2, 3, 4]})
    table(labels(tmp_path, "day2"), {"a.png": [5, 6, 7, 8]}, parts=("snout", "ear"))
    with pytest.warns(Notice) as caught:
        data = DeepLabCut(str(tmp_path), splits=WHOLE, margin=10)
    text = " ".join(str(one.message) for one in caught)
    assert "1 video without the body parts ear, which count as not labelled there" in text
    assert "1 video without the body parts tail, which count as not labelled there" in text
    assert "clip" not in text  # margins beyond an edge are no fault of the labels
    assert data.info.keypoints == ("snout", "tail", "ear")


def test_a_project_is_divided_and_has_its_skeleton(tmp_path: Path) -> None:
    for video in ("day1", "day2"):
        tree(tmp_path, video)
    with pytest.warns(Notice, match=r"config\.yaml: 1 entries of skeleton .* left out \(\['snout', 'ear'\]\)"):
        parts = [DeepLabCut(str(tmp_path), split) for split in ("train", "valid", "test")]
    names = [path for part in parts for path in part.files()]
    assert len(names) == len(set(names)) == 40
    assert parts[0].info.limbs == ((0, 1),)
    halves = {"train": 0.5, "valid": 0.5}
    apart = [
        DeepLabCut(str(tmp_path), split, splits=halves, group="labeled-data/([^/]+)") for split in ("train", "valid")
    ]
    assert [{path.parent.name for path in part.files()} for part in apart] in (
        [{"day1"}, {"day2"}],
        [{"day2"}, {"day1"}],
    )


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ([1, 2, 3], "line 4: has 3 values for 4 columns"),
        ([1, "", 3, 4], "'snout' has x alone"),
        (["one", 2, 3, 4], "'one' is no coordinate"),
        (["inf", 2, 3, 4], "'inf' is no coordinate"),
    ],
)
def test_a_damaged_line_is_refused(row: list[object], said: str, tmp_path: Path) -> None:
    table(labels(tmp_path), {"a.png": row})
    with pytest.raises(UserError, match=rf"CollectedData_ada\.csv: .*{said}"):
        DeepLabCut(str(tmp_path), splits=WHOLE)


def test_labels_of_two_people_are_chosen_by_name(tmp_path: Path) -> None:
    table(labels(tmp_path), {"a.png": [1, 2, 3, 4]})
    table(labels(tmp_path).with_name("CollectedData_bob.csv"), {"a.png": [9, 9, 9, 9]})
    with pytest.raises(UserError, match=r"labels of several people \(ada, bob\); choose one by dataset\.scorer"):
        DeepLabCut(str(tmp_path), splits=WHOLE)
    chosen = DeepLabCut(str(tmp_path), splits=WHOLE, scorer="bob")
    assert chosen[0].truth.need("keypoints")[0, 0].tolist() == [9, 9, 2]


def test_an_error_of_another_dataset_names_the_option(tmp_path: Path) -> None:
    tree(tmp_path, "day1")
    with pytest.raises(UserError, match=r"looks like a project of DeepLabCut: type dataset=deeplabcut task=pose"):
        Folder(str(tmp_path))
