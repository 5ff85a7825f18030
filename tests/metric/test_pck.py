"""Shares and errors of joints against their definitions, and by hand."""

from __future__ import annotations

import math
import pickle
from typing import Any

import numpy as np
import pytest
import torch

from densepred.errors import UserError
from densepred.metric.pck import Pck
from densepred.types import Annotation, Info
from tests.reference import slow_pck

LSP = (
    *("right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle", "right_wrist", "right_elbow"),
    *("right_shoulder", "left_shoulder", "left_elbow", "left_wrist", "neck", "head_top"),
)
INFO = Info(keypoints=LSP, provides=("keypoints",))
Pairs = list[tuple[Annotation, Annotation]]


def scored(pairs: Pairs, info: Info = INFO, **options: Any) -> Pck:
    metric = Pck(info, **options)
    for prediction, truth in pairs:
        metric.update([prediction], [truth])
    return metric


def scores(prediction: Annotation, truth: Annotation, names: tuple[str, ...] = ("a", "b"), **options: Any) -> dict:
    return scored([(prediction, truth)], Info(keypoints=names, provides=("keypoints",)), **options).compute()


def people(*rows: list[tuple[float, float, float]], count: int = 2, **more: Any) -> Annotation:
    return Annotation((100, 100), keypoints=torch.tensor(rows).view(-1, count, 3), **more)


def draw(seed: int, known: bool) -> Pairs:
    """Two images; where boxes are `known` the predictions stand in them, in order, else in any order, some lost."""
    random, pairs = np.random.default_rng(seed), []
    for _ in range(2):
        count = int(random.integers(1, 5))
        start, long = random.uniform(0, 300, (count, 1, 2)), random.uniform(20, 90, (count, 1, 1))
        joints = start + random.uniform(0, 1, (count, len(LSP), 2)) * long
        seen = random.choice([0, 1, 2, 2], (count, len(LSP), 1)) * (random.random((count, 1, 1)) < 0.9)
        boxes = torch.tensor(np.concatenate((start - 4, start + long + 4), 2)[:, 0], dtype=torch.float32)
        truth = Annotation((400, 400), keypoints=torch.tensor(np.concatenate((joints, seen), 2)).float(), boxes=boxes)
        truth.crowd = torch.tensor(random.random(count) < 0.15)
        truth.head_boxes = boxes / 4
        sure = random.random((count, len(LSP), 1)) * (random.random((count, len(LSP), 1)) < 0.9)
        moved = joints + random.normal(0, 0.12, joints.shape) * long
        found = torch.tensor(np.concatenate((moved, sure), 2)).float()
        if known:
            pairs.append((Annotation((400, 400), keypoints=found, boxes=boxes.clone()), truth))
        else:
            order = random.permutation(count)[: int(random.integers(0, count + 1))]
            pairs.append((Annotation((400, 400), keypoints=found[order]), truth))
    return pairs


def slow(pairs: Pairs, known: bool, alpha: float, reference: str) -> dict[str, float | None]:
    matched, lengths = [], {"box": [], "torso": [], "head": [], "pixels": []}
    for prediction, truth in pairs:
        rows = [i for i in range(len(truth.crowd)) if truth.keypoints[i, :, 2].any() and not truth.crowd[i]]
        found, true = prediction.keypoints.tolist(), [truth.keypoints[i].tolist() for i in rows]
        for i, person, mate in zip(rows, true, rows if known else slow_pck.mates(found, true), strict=True):
            matched.append((person, found[mate] if mate >= 0 else None))
            x0, y0, x1, y1 = truth.boxes[i].tolist()
            lengths["box"].append(max(x1 - x0, y1 - y0))
            torsos = [(person[LSP.index(a)], person[LSP.index(b)]) for a, b in TORSOS]
            lengths["torso"].append(next((slow_pck.distance(a, b) for a, b in torsos if a[2] and b[2]), None))
            a0, b0, a1, b1 = truth.head_boxes[i].tolist()
            lengths["head"].append(0.6 * math.hypot(a1 - a0, b1 - b0))
            lengths["pixels"].append(1.0)
    limits = {name: [None if v is None else v for v in values] for name, values in lengths.items()}

    def share(kind: str, times: float, joints: list[int]) -> float | None:
        return slow_pck.share(matched, [None if v is None else times * v for v in limits[kind]], joints)

    every = list(range(len(LSP)))
    result = {
        "pck": share(reference, alpha, every),
        "pckh": share("head", 0.5, every),
        "pdj": share("torso", 0.2, every),
    }
    result["auc"] = slow_pck.area(matched, [None if v is None else alpha * v for v in limits[reference]])
    result["epe"] = slow_pck.error(matched, every)
    for i, name in enumerate(LSP):
        result |= {f"pck/{name}": share(reference, alpha, [i]), f"epe/{name}": slow_pck.error(matched, [i])}
    return result


TORSOS = (("left_shoulder", "right_hip"), ("right_shoulder", "left_hip"))


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(
    ("seed", "reference", "alpha"), [(0, "box", 0.1), (1, "torso", 0.2), (2, "head", 0.5), (3, "pixels", 8.0)]
)
def test_scores_equal_the_definition_joint_by_joint(seed: int, reference: str, alpha: float, known: bool) -> None:
    pairs = draw(seed, known)
    found = scored(pairs, alpha=alpha, reference=reference).compute()
    expected = slow(pairs, known, alpha, reference)
    assert found.keys() == expected.keys()
    assert found.pop("auc") == pytest.approx(expected.pop("auc"), abs=1e-4)
    assert found == {name: pytest.approx(value, abs=1e-9) for name, value in expected.items()}


def test_a_joint_just_at_its_limit_is_found_and_counts_nothing_under_the_curve() -> None:
    truth = people([(0, 0, 2), (50, 0, 2)], boxes=torch.tensor([[0.0, 0.0, 50.0, 20.0]]))
    found = people([(10, 0, 1), (50, 5, 1)])
    result = scores(found, truth)  # limits of 10 pixels
    assert (result["pck"], result["auc"], result["epe"]) == (1.0, 0.25, 7.5)
    assert (result["pck/a"], result["epe/a"], result["epe/b"]) == (1.0, 10.0, 5.0)
    assert scores(people([(10.01, 0, 1), (50, 5, 1)]), truth)["pck"] == 0.5


def test_without_a_box_the_labelled_joints_make_one() -> None:
    truth = people([(0, 0, 2), (49, 0, 2)])
    assert scores(people([(10, 0, 1), (49, 0, 1)]), truth)["pck"] == 1.0  # 49 and a pixel
    assert scores(people([(10.1, 0, 1), (49, 0, 1)]), truth)["pck"] == 0.5


def test_unlabelled_joints_do_not_count_and_those_not_found_are_wrong_without_an_error() -> None:
    truth = people([(0, 0, 2), (0, 0, 0)])
    assert scores(people([(0, 0, 1), (70, 70, 1)]), truth)["pck"] == 1.0
    lost = scores(people([(0, 0, 0), (0, 0, 1)]), truth)
    assert (lost["pck"], lost["epe"], lost["pck/b"]) == (0.0, None, None)


def test_numbers_that_are_none_are_wrong_and_match_no_person() -> None:
    nan, truth = math.nan, people([(0, 0, 2), (0, 40, 2)])
    assert scores(people([(nan, 0, 1), (0, 40, nan)]), truth)["pck"] == 0.0
    both = people([(nan, nan, 1), (nan, nan, 1)], [(0, 0, 1), (nan, 40, 1)])
    assert scores(both, truth)["pck"] == 0.5


def test_a_missed_person_has_all_joints_wrong_and_extra_people_are_no_mistakes() -> None:
    truth = people([(0, 0, 2), (0, 40, 2)], [(80, 0, 2), (80, 40, 2)])
    one = scores(people([(80, 1, 1), (80, 41, 1)]), truth)
    assert (one["pck"], one["epe"]) == (0.5, 1.0)
    assert scores(people(), truth)["pck"] == 0.0
    three = people([(40, 0, 1), (40, 40, 1)], [(80, 0, 1), (80, 40, 1)], [(0, 0, 1), (0, 40, 1)])
    assert scores(three, truth)["pck"] == 1.0


def test_people_in_ground_truth_boxes_are_its_people_in_order_even_where_another_is_nearer() -> None:
    boxes = torch.tensor([[0.0, 0, 40, 40], [2, 0, 42, 40], [9, 9, 12, 12]])
    truth = people([(0, 0, 2), (0, 40, 2)], [(30, 0, 2), (30, 40, 2)], [(0, 0, 0), (0, 0, 0)], boxes=boxes)
    swapped = people([(30, 0, 1), (30, 40, 1)], [(0, 0, 1), (0, 40, 1)], [(0, 0, 0), (0, 0, 0)])
    assert scores(swapped, truth)["pck"] == 1.0
    swapped.boxes = boxes.clone()
    assert scores(swapped, truth)["pck"] == 0.0


def test_a_torso_is_either_diagonal_and_who_has_none_is_left_out() -> None:
    names = ("left_shoulder", "right_shoulder", "left_hip", "right_hip")
    at = [(0.0, 0.0, 2.0), (30.0, 0.0, 2.0), (0.0, 40.0, 2.0), (30.0, 40.0, 2.0)]
    off = [(x + 10, y, 1.0) for x, y, _ in at]  # 0.2 of a torso of 50

    def torso(*hidden: int) -> dict:
        truth = [(x, y, 0.0) if i in hidden else (x, y, v) for i, (x, y, v) in enumerate(at)]
        return scores(people(off, count=4), people(truth, count=4), names, reference="torso")

    assert (torso()["pck"], torso()["pdj"], torso(0)["pdj"], torso(1, 3)["pdj"]) == (1.0, 1.0, 1.0, None)
    assert torso(1, 3)["pck"] is None
    assert torso(1, 3)["epe"] == 10.0


def test_heads_are_measured_by_their_box_else_from_top_to_neck_and_pelvis_and_thorax_do_not_count() -> None:
    names = ("pelvis", "thorax", "upper_neck", "head_top")
    truth = people([(0, 90, 2), (0, 30, 2), (0, 20, 2), (0, 0, 2)], count=4)
    found = people([(0, 0, 1), (0, 0, 1), (10, 20, 1), (11, 0, 1)], count=4)  # half a head is 10
    assert scores(found, truth, names)["pckh"] == 0.5
    truth.head_boxes = torch.tensor([[0.0, 0.0, 30.0, 40.0]])  # half of 0.6 * 50 is 15
    assert scores(found, truth, names)["pckh"] == 1.0
    truth.head_boxes = torch.full((1, 4), torch.nan)
    assert scores(found, truth, names)["pckh"] == 0.5
    assert scores(people([(0, 0, 1)], count=1), people([(0, 0, 2)], count=1), ("snout",))["pckh"] is None


def test_crowds_and_people_without_a_labelled_joint_are_not_evaluated() -> None:
    truth = people([(0, 0, 2), (0, 40, 2)], [(0, 0, 0), (0, 0, 0)], crowd=torch.tensor([True, False]))
    assert set(scores(people(), truth).values()) == {None}
    assert set(scored([]).compute().values()) == {None}


def test_parts_merge_to_the_whole_to_the_last_digit_in_any_order() -> None:
    pairs = [pair for seed in range(5) for pair in draw(seed, known=False)]
    whole = scored(pairs).compute()
    for order in ((0, 1, 2), (2, 0, 1)):
        first, *others = (pickle.loads(pickle.dumps(scored(pairs[i::3]))) for i in order)
        for other in others:
            first.merge(other)
        assert first.compute() == whole


def test_every_name_can_select_a_checkpoint_and_errors_are_better_small() -> None:
    metric = scored([])
    assert metric.mode.keys() == metric.compute().keys()
    assert (metric.mode["pck/neck"], metric.mode["epe"], metric.mode["epe/neck"]) == ("max", "min", "min")


def test_settings_and_fields_that_do_not_fit_are_errors() -> None:
    with pytest.raises(UserError, match=r"metric\.pck\.alpha: 0; give a fraction"):
        scored([], alpha=0)
    with pytest.raises(UserError, match=r"metric\.pck\.reference"):
        scored([], reference="bok")
    with pytest.raises(UserError, match="no shoulders and hips among a, b; choose box"):
        scores(people(), people(), reference="torso")
    with pytest.raises(UserError, match="neither boxes of heads nor necks"):
        scores(people(), people(), reference="head")
    with pytest.raises(UserError, match="metric=pck needs keypoints, which this task does not predict"):
        scores(Annotation((9, 9)), people())
