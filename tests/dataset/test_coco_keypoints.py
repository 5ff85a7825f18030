from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from densepred.dataset.coco_keypoints import CocoKeypoints
from densepred.dataset.skeleton import COCO, COCO_SIGMAS
from densepred.errors import Notice
from densepred.types import Info, UserError
from tests.dataset.coco_tree import JOINTS, SIZE, keypoints, note, save, square, tree

Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tree(tmp_path)


def changed(root: Path, change: Change) -> CocoKeypoints:
    data = keypoints()
    change(data)
    save(root, "person_keypoints_train2017", data)
    return CocoKeypoints(str(root))


def test_all_people_are_instances_and_keypoints_keep_their_place(root: Path) -> None:
    truth = CocoKeypoints(str(root))[0].truth
    assert truth.keypoints is not None
    assert truth.keypoints.shape == (3, 3, 3)
    assert truth.keypoints[0].tolist() == [[4, 6, 2], [0, 0, 0], [12.5, 30, 1]]
    assert not truth.keypoints[1:].any()
    assert truth.boxes is not None
    assert truth.boxes[0].tolist() == [1.5, 2.5, 16.5, 32.5]
    assert truth.areas is not None
    assert truth.areas.tolist() == [300.5, 400, 555]
    assert truth.crowd is not None
    assert truth.crowd.tolist() == [False, False, True]
    assert truth.masks is None


def test_ignore_is_where_unlabelled_people_are_and_labelled_ones_are_not(root: Path) -> None:
    ignore = CocoKeypoints(str(root))[0].truth.ignore
    assert ignore is not None
    for y in range(SIZE[0]):
        for x in range(SIZE[1]):
            unlabelled = (10 <= x < 30 and 10 <= y < 30) or x >= 30
            labelled = 2 <= x < 17 and 3 <= y < 33
            assert ignore[y, x] == (unlabelled and not labelled)


def test_masks_are_used_where_they_are_given(root: Path) -> None:
    def change(data: dict[str, Any]) -> None:
        del data["annotations"][2:]
        data["annotations"][0]["segmentation"] = [square(2, 3, 4)]
        data["annotations"][1]["segmentation"] = [square(20, 20, 5)]

    truth = changed(root, change)[0].truth
    assert truth.masks is not None
    assert len(truth.masks) == 2
    assert truth.ignore is not None
    assert int(truth.ignore.sum()) == 25


def test_an_image_without_people_has_empty_lists(root: Path) -> None:
    truth = CocoKeypoints(str(root))[1].truth
    assert truth.keypoints is not None
    assert truth.keypoints.shape == (0, 3, 3)
    assert truth.boxes is not None
    assert truth.boxes.shape == (0, 4)
    assert truth.ignore is not None
    assert not truth.ignore.any()


def test_the_skeleton_is_counted_from_zero_and_sides_are_found_by_name(root: Path) -> None:
    info = CocoKeypoints(str(root)).info
    assert info.classes == ("person",)
    assert info.keypoints == tuple(JOINTS)
    assert info.limbs == ((0, 1), (0, 2))
    assert info.mirrored == ((1, 2),)
    assert info.sigmas == ()


@pytest.mark.parametrize(
    ("skeleton", "limbs", "told"),
    [
        ([[0, 1], [1, 2]], ((0, 1), (1, 2)), "is counted from 0"),
        ([[3, 4], [1, 2]], (), "numbers from 1 to 4, but there are 3 keypoints: no limbs are read"),
        ([[0, 3]], (), "numbers from 0 to 3, but there are 3 keypoints"),
    ],
)
def test_skeletons_of_published_files(
    root: Path, skeleton: list[list[int]], limbs: tuple[tuple[int, int], ...], told: str
) -> None:
    """ATRW and ExLPose count from 0; CrowdPose has 14 keypoints and COCO's skeleton of 17."""
    with pytest.warns(Notice, match=told):
        assert changed(root, lambda d: d["categories"][1].update(skeleton=skeleton)).info.limbs == limbs


def test_further_keypoints_give_a_notice(root: Path) -> None:
    with pytest.warns(Notice, match="1 instance whose face_kpts, foot_kpts are not read"):
        changed(root, lambda d: d["annotations"][0].update(face_kpts=[1, 2, 2], foot_kpts=[0, 0, 0]))


def test_keypoints_of_rhd_and_human_art(root: Path) -> None:
    """A list per keypoint; 17 of COCO beside all of them in a field that tells their number."""
    plain = changed(root, lambda d: None)[0].truth.need("keypoints")

    def nested(data: Any) -> None:
        for one in data["annotations"]:
            points = one.get("keypoints") or []
            one["keypoints"] = [points[start : start + 3] for start in range(0, len(points), 3)]

    def both(data: Any) -> None:
        for one in data["annotations"]:
            if one.get("keypoints"):
                one |= {"keypoints_3": one["keypoints"], "keypoints": one["keypoints"][:6]}

    assert torch.equal(changed(root, nested)[0].truth.need("keypoints"), plain)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "instances? whose keypoints_3", Notice)
        assert torch.equal(changed(root, both)[0].truth.need("keypoints"), plain)


def test_flip_indices_and_sigmas_of_the_file_win(root: Path) -> None:
    info = changed(root, lambda d: d["categories"][1].update(flip_indices=[2, 1, 0], sigmas=[0.1, 0.2, 0.3])).info
    assert info.mirrored == ((0, 2),)
    assert info.sigmas == (0.1, 0.2, 0.3)


@pytest.mark.parametrize(
    "names",
    [["nose", "LEye", "REye"], ["nose", "shoulder_l", "shoulder_r"], ["tail", "hand.L", "hand.R"]],
)
def test_pairs_are_guessed_and_named_in_a_notice(root: Path, names: list[str]) -> None:
    with pytest.warns(Notice, match=f"guessed from the names: {names[1]} - {names[2]}; flip_indices in the JSON"):
        info = changed(root, lambda d: d["categories"][1].update(keypoints=names)).info
    assert info.mirrored == ((1, 2),)


def test_a_side_without_a_partner_forbids_mirror_images(root: Path) -> None:
    names = ["left_eye", "right_eye", "left_tail"]
    with pytest.warns(Notice, match="'person': left_tail have a side in the name and no partner, so images are not"):
        info = changed(root, lambda d: d["categories"][1].update(keypoints=names)).info
    assert info.mirrored is None
    assert Info.from_json(json.loads(json.dumps(info.to_json()))) == info
    given = changed(root, lambda d: d["categories"][1].update(keypoints=names, flip_indices=[1, 0, 2])).info
    assert given.mirrored == ((0, 1),)


def test_names_without_sides_are_reported_too(root: Path) -> None:
    with pytest.warns(Notice, match="guessed from the names: none, for no name has a side"):
        info = changed(root, lambda d: d["categories"][1].update(keypoints=["lip", "reel", "ball"])).info
    assert info.mirrored == ()


def test_the_seventeen_keypoints_of_coco_have_their_own_sigmas(root: Path) -> None:
    def change(data: dict[str, Any]) -> None:
        data["categories"][1]["keypoints"] = [*COCO]
        data["annotations"] = []

    assert changed(root, change).info.sigmas == COCO_SIGMAS


def test_a_category_is_chosen_by_name(root: Path) -> None:
    with pytest.raises(UserError, match="no category 'tree' has keypoints"):
        CocoKeypoints(str(root), category="tree")
    with pytest.raises(UserError, match="categories have different keypoints"):
        changed(root, lambda d: d["categories"].append({"id": 6, "name": "mouse", "keypoints": ["tail"]}))
    assert CocoKeypoints(str(root), category="mouse").info.keypoints == ("tail",)


def test_people_with_too_few_keypoints_count_as_unlabelled(root: Path) -> None:
    truth = CocoKeypoints(str(root), min_keypoints=3)[0].truth
    assert truth.keypoints is not None
    assert not truth.keypoints.any()
    assert truth.ignore is not None
    assert truth.ignore[5, 5]


def test_a_subset_is_chosen_by_people_and_count(root: Path) -> None:
    assert len(CocoKeypoints(str(root), min_instances=1)) == 1
    assert len(CocoKeypoints(str(root), min_instances=2)) == 0
    assert len(CocoKeypoints(str(root), limit=1)) == 1


def test_a_missing_box_lies_around_the_keypoints(root: Path) -> None:
    boxes = changed(root, lambda d: d["annotations"][0].pop("bbox"))[0].truth.boxes
    assert boxes is not None
    assert boxes[0].tolist() == [3.5, 5.5, 13.0, 30.5]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["annotations"][0]["keypoints"].pop(), "annotation 1: its keypoints are 8 numbers"),
        (lambda d: d["annotations"][0]["keypoints"].__setitem__(0, float("nan")), "annotation 1: its keypoints is"),
        (lambda d: d["annotations"][0]["keypoints"].__setitem__(2, 3), "annotation 1: visibilities are"),
        (lambda d: d["annotations"][0].update(keypoints="none"), "annotation 1: its keypoints is"),
        (lambda d: d["categories"][1].update(skeleton=[[1, 1]]), "skeleton of 'person'"),
        (lambda d: d["categories"][1].update(skeleton=[[1, 2.0]]), "skeleton of 'person'"),
        (lambda d: d["categories"][1].update(flip_indices=[1, 2, 0]), "flip_indices"),
        (lambda d: d["categories"][1].update(flip_indices=[0, 1]), "flip_indices"),
        (lambda d: d["categories"][1].update(sigmas=[0.1, 0.2]), "2 sigmas for 3"),
        (lambda d: d["categories"][1].update(sigmas=[0.1, 0.2, 0]), "above 0"),
        (lambda d: d["categories"][1].update(keypoints=["a", "a", "b"]), "different names"),
        (lambda d: d["categories"][1].update(keypoints=7), "different names"),
        (lambda d: d["categories"][1].pop("keypoints"), "no category lists keypoints"),
    ],
)
def test_faults_of_the_json_are_named(root: Path, change: Change, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        changed(root, change)
    assert "person_keypoints_train2017.json" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_person_with_neither_box_nor_keypoints_is_skipped_and_counted(root: Path) -> None:
    with pytest.warns(Notice, match=r"1 of 5 annotations left out \(1 instance with neither box nor keypoints"):
        data = changed(root, lambda d: d["annotations"].append({"id": 9, "image_id": 8, "category_id": 5}))
    assert data[1].truth.need("keypoints").shape == (0, 3, 3)


def test_an_area_of_0_is_that_of_the_box(root: Path) -> None:
    points = [4, 6, 2, 0, 0, 0, 12, 6, 1]
    with pytest.warns(Notice, match="1 area of 0, replaced by"):
        data = changed(
            root, lambda d: d["annotations"].append(note(9, 5, [2, 2, 20, 10], 0, keypoints=points) | {"image_id": 8})
        )
    assert data[1].truth.need("areas").tolist() == [200]


@pytest.mark.parametrize("box", [[3, 3, 0, 5], [3, 3, 5, 0], [7, 6, 0, 0], [-9, 0, 9, 9]])
def test_a_box_without_area_is_rebuilt_from_the_keypoints(root: Path, box: list[float]) -> None:
    points = [4, 6, 2, 0, 0, 0, 12, 6, 1]
    with pytest.warns(Notice, match="1 box without area in the image rebuilt from keypoints or masks"):
        data = changed(root, lambda d: d["annotations"].append(note(9, 5, box, 0, keypoints=points) | {"image_id": 8}))
    truth = data[1].truth
    assert truth.need("keypoints").flatten().tolist() == points
    assert truth.need("boxes").tolist() == [[3.5, 5.5, 12.5, 6.5]]
    assert truth.need("areas").tolist() == [9]
    assert data.labelled(1) == [0]


def test_a_mask_without_box_and_keypoints_is_an_ignore_region(root: Path) -> None:
    outline = [[5, 5, 15, 5, 15, 15, 5, 15]]
    more = {"image_id": 8, "segmentation": outline}
    with pytest.warns(Notice, match="rebuilt from keypoints or masks"):
        data = changed(root, lambda d: d["annotations"].append(note(9, 5, [5, 5, 0, 0], 0) | more))
    assert int(data[1].truth.need("ignore").sum()) == 100


def test_boxes_are_clipped_to_the_image(root: Path) -> None:
    with pytest.warns(Notice, match="1 box clipped to the image"):
        data = changed(root, lambda d: d["annotations"][0].update(bbox=[-10, 3, 100, 100]))
    assert data[0].truth.need("boxes")[0].tolist() == [-0.5, 2.5, 44.5, 36.5]
