"""Classes and keypoints counted by objects, against counts of the files and against drawn splits."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from densepred.inspection import chart, classes, counted, objects, report
from densepred.inspection.chart import KEYPOINTS, OBJECTS, Chart
from densepred.inspection.facts import Facts, Objects
from densepred.inspection.finding import Finding, merged
from densepred.types import Annotation, Info

WORDS = ("divide them", "")


def drawn(of: str, rows: Mapping[str, Sequence[int]], totals: Mapping[str, int] | None = None) -> Chart:
    names = tuple(f"n{index}" for index in range(len(next(iter(rows.values())))))
    sums = {split: sum(row) for split, row in rows.items()} if totals is None else dict(totals)
    return Chart(of, names, {split: list(row) for split, row in rows.items()}, sums)


def found(of: str, rows: Mapping[str, Sequence[int]], totals: Mapping[str, int] | None = None) -> dict[str, str]:
    return {one.kind: one.fact for one in counted.findings(drawn(of, rows, totals), WORDS)}


def test_objects_and_keypoints_of_an_image_are_counted_without_crowds() -> None:
    points = torch.zeros(4, 2, 3)
    points[0, :, 2] = torch.tensor([2.0, 1.0])
    points[1, 1, 2] = points[3, 0, 2] = 2
    kinds, crowd = torch.tensor([1, 1, 3, 3]), torch.tensor([False, False, False, True])
    truth = Annotation((9, 9), categories=kinds, boxes=torch.ones(4, 4), crowd=crowd, keypoints=points)
    measured = objects.measure(truth, 4)
    assert measured.classes == (0, 2, 0, 1)
    assert (measured.keypoints, measured.visible, measured.posed) == ((1, 2), (1, 1), 2)


def test_things_are_counted_as_objects_and_stuff_as_pixels() -> None:
    def kinds(info: Info, task: str | None = None) -> list[str]:
        pixels = (7, 3, *[0] * (len(info.classes) - 2))
        rows = [Facts("a", size=(2, 5), pixels=pixels, void=0, objects=Objects(2, classes=(0, 2)))]
        return [one.of for one in chart.charts(info, {"train": rows}, task)]

    things = Info(("background", "cell"), (1,))
    assert kinds(things) == ["objects"]
    assert kinds(things, "semantic") == ["pixels"]
    assert kinds(Info(("sky", "cell", "road"), (1,))) == ["objects", "pixels"]


def test_what_has_no_object_is_named_and_what_is_rare() -> None:
    faults = found(OBJECTS, {"train": [100, 2, 0], "valid": [50, 0, 1]})
    assert faults["missing_classes"] == "valid: 1 of 3 classes have no object and have no score: n1"
    assert faults["rare_classes"] == "train: 1 class with under 5% of the objects of the most frequent one: n1 2"
    assert found(KEYPOINTS, {"train": [9, 0]}, {"train": 9})["missing_keypoints"].startswith("train: 1 of 2 keypoints")


def test_shares_that_differ_by_more_than_chance_are_named() -> None:
    rows = {"train": [500, 500], "valid": [80, 20]}
    assert found(OBJECTS, rows)["class_shift"] == (
        "valid: 30% of the objects have another class than in train (n0 50.0% -> 80.0%, n1 50.0% -> 20.0%)"
    )
    assert "class_shift" not in found(OBJECTS, {"train": [500, 500], "valid": [3, 1]})
    faults = found(KEYPOINTS, {"train": [90, 50], "valid": [85, 10]}, {"train": 100, "valid": 100})
    assert faults["keypoint_shift"].startswith("valid: 1 of 2 keypoints are labelled in another share of the instances")
    assert not found(KEYPOINTS, {"train": [90, 50], "valid": [4, 1]}, {"train": 100, "valid": 4})


@pytest.mark.parametrize("sizes", [(400, 20), (60, 60)])
def test_the_distance_by_chance_is_that_of_drawn_splits(sizes: tuple[int, int]) -> None:
    rng, shares = np.random.default_rng(0), np.array([0.4, 0.3, 0.2, 0.1])
    drawn_distances, expected = list[float](), list[float]()
    for _ in range(300):
        one, other = (rng.multinomial(size, shares) for size in sizes)
        drawn_distances.append(float(np.abs(one / sizes[0] - other / sizes[1]).sum() / 2))
        expected.append(counted.by_chance(drawn(OBJECTS, {"train": one.tolist(), "valid": other.tolist()}), "valid"))
    assert np.mean(expected) == pytest.approx(np.mean(drawn_distances), rel=0.08)


def test_equal_facts_of_splits_stand_once_with_all_names() -> None:
    same = [Finding("note", "k", f"{split}: no mask", "r") for split in ("train", "valid")]
    other = Finding("note", "k", "test: no image", "r")
    sampled = [Finding("note", "s", f"{split}: tiny", "r", ("a",)) for split in ("train", "valid")]
    facts = [one.fact for one in merged([same[0], other, same[1], *sampled])]
    assert facts == ["train, valid: no mask", "test: no image", "train: tiny", "valid: tiny"]


def test_a_file_of_boxes_is_described_by_its_objects(tmp_path: Path) -> None:
    from tests.dataset import coco_tree
    from tests.inspection.test_inspect import inspected

    for split in ("train2017", "val2017"):
        coco_tree.tree(tmp_path, split)
        path = tmp_path / f"annotations/instances_{split}.json"
        data = json.loads(path.read_text())
        for record in data["annotations"]:
            record.pop("segmentation")
        path.write_text(json.dumps(data))
    done = inspected(tmp_path, option="coco_instances")
    names = {one["id"]: one["name"] for one in data["categories"]}
    kinds = [names[one["category_id"]] for one in data["annotations"] if not one.get("iscrowd")]
    (only,) = done.charts
    assert only.of == "objects"
    assert Counter(dict(zip(only.names, only.counts["valid"], strict=True))) == Counter(kinds)
    text = report.text(done)
    assert "only tasks of boxes can be trained" in text
    assert "void" not in text
    assert not [one for one in done.findings if one.kind == "void"]


def test_division_is_offered_as_for_pixels() -> None:
    division = classes.divided({"splits": {"train": 0.5}, "seed": 3})
    (one,) = counted.findings(drawn(OBJECTS, {"train": [50, 50], "valid": [90, 10]}), division)
    assert one.override == "dataset.seed=4"
