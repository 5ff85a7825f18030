"""Sides in the names of keypoints: how annotation tools write them, and words that only look like sides."""

from __future__ import annotations

import pytest

from densepred.dataset.sides import sides


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("left_eye", "right_eye"),
        ("LeftEye", "RightEye"),
        ("eyeLeft", "eyeRight"),
        ("LEFT EYE", "RIGHT EYE"),
        ("lefteye", "righteye"),
        ("eyeleft", "eyeright"),
        ("LEye", "REye"),
        ("lShoulder", "rShoulder"),
        ("shoulder_l", "shoulder_r"),
        ("ear_L", "ear_R"),
        ("hand.L", "hand.R"),
        ("L Eye", "R Eye"),
        ("wingL", "wingR"),
        ("wingL2", "wingR2"),
        ("front-l-paw", "front-r-paw"),
        ("L_F_Paw", "R_F_Paw"),
        ("LFHoof", "RFHoof"),
        ("leye", "reye"),
        ("LEYE", "REYE"),
        ("wrist_lt", "wrist_rt"),
        ("left_hand_left_thumb", "right_hand_right_thumb"),
        ("left_bright", "right_bright"),
        ("auge_links", "auge_rechts"),
        ("左眼", "右眼"),
        ("top_left", "top_right"),
        ("tl", "tr"),
        ("L", "R"),
    ],
)
def test_names_that_differ_in_their_side_are_a_pair(left: str, right: str) -> None:
    assert sides([left, "nose", right]) == (((0, 2),), ())
    assert sides([right, left, "tail"]) == (((0, 1),), ())


@pytest.mark.parametrize(
    "names",
    [
        ["lip", "rip", "nose"],
        ["reel", "ball", "lever", "rear", "bright", "cleft", "upright", "collar"],
        ["lamp", "ramp"],
        ["L1", "L2", "L3", "S1"],
        ["lead", "read"],
        [*"ABCDEFGHIJKLMNOPQRSTUVWXYZ"],
        ["nose", "tail"],
    ],
)
def test_words_that_only_look_like_sides_are_none(names: list[str]) -> None:
    assert sides(names) == ((), ())


@pytest.mark.parametrize("name", ["left_eye", "L Eye", "ear_L", "lShoulder", "righteye", "eyeleft", "LEYE", "左眼"])
def test_a_side_without_a_partner_is_reported(name: str) -> None:
    assert sides(["left_paw", "right_paw", name, "nose"]) == (((0, 1),), (2,))


def test_every_dataset_of_ours_gives_the_pairs_of_its_names() -> None:
    from densepred.dataset import mpii, skeleton, stick_figure

    coco = ((1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16))
    assert sides(skeleton.COCO) == (coco, ())
    for module in (mpii, stick_figure):
        found = sides(module.KEYPOINTS)
        assert {frozenset(pair) for pair in found.pairs} == {frozenset(pair) for pair in module.MIRRORED}
        assert found.alone == ()
