"""People of MPII per image, with coordinates that count from 0."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import savemat

from densepred.dataset.mpii import KEYPOINTS, LIMBS, MIRRORED, Mpii
from densepred.errors import UserError
from tests.dataset import mpii_tree


@pytest.fixture
def root(tmp_path: Path) -> Path:
    mpii_tree.tree(tmp_path, "valid")
    return tmp_path


def test_people_are_gathered_by_image(root: Path) -> None:
    data = Mpii(str(root), "valid")
    assert len(data) == 2
    first, second = data[0], data[1]
    assert first.frame.id == "a"
    assert data.identity(0) == (None, "a")
    assert first.truth.size == mpii_tree.SIZE
    assert first.truth.keypoints is not None
    assert second.truth.keypoints is not None
    assert first.truth.keypoints.shape == (2, 16, 3)
    assert first.truth.keypoints[0, 3].tolist() == [13.0, 11.0, 2.0]  # 14, 12 in the file
    assert second.truth.keypoints[0, [0, 5]].tolist() == [[0.0, 0.0, 0.0]] * 2
    assert [data.labelled(0), data.labelled(1)] == [[0], [0]]


def test_boxes_are_those_that_the_published_program_cuts_out(root: Path) -> None:
    """center + 15 scale down, 200 scale wide, from 1 to 0; the crop's padding of 1.25 does the rest."""
    boxes = Mpii(str(root), "valid")[0].truth.boxes
    assert boxes is not None
    x, y = 11 + 8 - 1, 6 + 15 + 15 * 0.2 - 1
    torch.testing.assert_close(boxes[0], torch.tensor([x - 20, y - 20, x + 20, y + 20]))


def test_heads_are_read_where_their_file_is(root: Path) -> None:
    assert Mpii(str(root), "valid")[0].truth.head_boxes is None
    corners = np.arange(12, dtype=np.float64).reshape(2, 2, 3)
    savemat(root / "annot/gt_valid.mat", {"headboxes_src": corners})
    data = Mpii(str(root), "valid")
    heads = [data[0].truth.head_boxes, data[1].truth.head_boxes]
    assert heads[0] is not None
    assert heads[1] is not None
    expected = [[corners[0, 0, i], corners[0, 1, i], corners[1, 0, i], corners[1, 1, i]] for i in range(3)]
    assert (heads[0] + 1).tolist() == [expected[0], expected[2]]
    assert (heads[1] + 1).tolist() == [expected[1]]
    assert Mpii(str(root), "valid", heads=None)[0].truth.head_boxes is None


@pytest.mark.parametrize("text", [b"", b"not a matrix", b"MATLAB 5.0 MAT-file" + bytes(200)])
def test_damaged_files_of_heads_are_refused(root: Path, text: bytes) -> None:
    (root / "annot/gt_valid.mat").write_bytes(text)
    with pytest.raises(UserError, match=r"gt_valid\.mat: .*dataset\.heads=null"):
        Mpii(str(root), "valid")


def test_heads_of_other_people_are_refused(root: Path) -> None:
    savemat(root / "annot/gt_valid.mat", {"headboxes_src": np.zeros((2, 2, 7))})
    with pytest.raises(UserError, match=r"shape \(2, 2, 7\), but .* need \(2, 2, 3\)"):
        Mpii(str(root), "valid")


def test_a_list_without_joints_still_has_boxes(root: Path) -> None:
    entries = [{key: value for key, value in entry.items() if "joints" not in key} for entry in mpii_tree.people()]
    (root / "annot/valid.json").write_text(json.dumps(entries))
    data = Mpii(str(root), "test")
    assert data[0].truth.boxes is not None
    assert data.labelled(0) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image": 3}, "its image is 3"),
        ({"image": "../a.jpg"}, "leads out of"),
        ({"center": [1.0]}, "its center is"),
        ({"scale": 0}, "scale 0"),
        ({"scale": "large"}, "its scale is"),
        ({"joints": [[1, 2]]}, "has 1 joints"),
        ({"joints": [[float("nan"), 2]] * 16}, "its joints is"),
        ({"joints_vis": None}, "its joints_vis is"),
    ],
)
def test_entries_that_mean_nothing_are_named(root: Path, change: dict, message: str) -> None:
    entries = mpii_tree.people()
    entries[1] |= change
    (root / "annot/valid.json").write_text(json.dumps(entries))
    with pytest.raises(UserError, match=message):
        Mpii(str(root), "valid")


def test_the_skeleton_is_consistent() -> None:
    assert len(KEYPOINTS) == 16
    assert len(LIMBS) == 15
    other = {a: b for pair in MIRRORED for a, b in (pair, pair[::-1])}
    for i, name in enumerate(KEYPOINTS):
        swapped = name.replace("left", "RIGHT").replace("right", "left").replace("RIGHT", "right")
        assert KEYPOINTS[other.get(i, i)] == swapped
    assert {frozenset(other.get(i, i) for i in limb) for limb in LIMBS} == {frozenset(limb) for limb in LIMBS}


def test_the_matlab_file_alone_is_named(tmp_path: Path) -> None:
    (tmp_path / "mpii_human_pose_v1_u12_2").mkdir()
    (tmp_path / "mpii_human_pose_v1_u12_2/mpii_human_pose_v1_u12_1.mat").write_bytes(b"never opened")
    with pytest.raises(UserError, match=r"train\.json: is missing.*MPII's MATLAB file, .*; export it as HRNet's JSON"):
        Mpii(str(tmp_path))
