"""Panoptic quality against its definition pixel by pixel, figures of the COCO panoptic API, and counts by hand."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import torch

from densepred.errors import UserError
from densepred.metric.panoptic_quality import PanopticQuality
from densepred.ops.regions import pair_counts
from densepred.types import VOID, Annotation, Info
from tests.reference import slow_panoptic

CLASSES = ("sky", "road", "car", "person", "bird")
THINGS = (2, 3)
INFO = Info(classes=CLASSES, things=THINGS, provides=("semantic", "instances"))

# Scores of cocodataset/panopticapi for pairs 0 to 3 below, written as PNG and JSON files.
OFFICIAL = {
    **{"pq": 0.4525846929590184, "sq": 0.6095598335951035, "rq": 0.5976190476190475},
    **{"pq_things": 0.4974951053949501, "sq_things": 0.8027359642169425, "rq_things": 0.6190476190476191},
    **{"pq_stuff": 0.4226444180017306, "sq_stuff": 0.4807757465138775, "rq_stuff": 0.5833333333333334},
    **{"pq/sky": 0.5231819566093221, "pq/road": 0.7447512973958696, "pq/car": 0.45194644899613845},
    **{"pq/person": 0.5430437617937618, "pq/bird": 0.0},
}


def pair(seed: int, size: tuple[int, int] = (37, 45)) -> tuple[Annotation, Annotation]:
    """A truth with void, crowds and thing pixels without instance, and a prediction that errs in every way."""
    draw = np.random.default_rng(seed)
    height, width = size
    blocks = draw.choice([*range(len(CLASSES) - 1), VOID], (height // 6 + 1, width // 6 + 1))
    semantic = np.repeat(np.repeat(blocks, 6, 0), 6, 1)[:height, :width].astype(np.uint8)
    instances = np.zeros(size, np.int32)
    for i in range(9):
        y, x = draw.integers(0, height), draw.integers(0, width)
        instances[y : y + draw.integers(4, 15), x : x + draw.integers(4, 15)] = i + 1
    categories = draw.choice(THINGS, 9)
    crowd = np.zeros(9, bool)
    crowd[[int(np.flatnonzero(categories == c)[0]) for c in THINGS if (categories == c).any()]] = True
    truth = annotation(semantic, instances, categories, crowd=crowd)

    noisy = np.where(draw.random(size) < 0.15, draw.integers(0, len(CLASSES), size), semantic).astype(np.uint8)
    moved = np.zeros(size, np.int32)
    for i in range(8):
        moved[np.roll(instances == i + 1, draw.integers(-1, 2, 2), (0, 1))] = i + 1
    y, x = draw.integers(0, height), draw.integers(0, width)
    moved[y : y + 6, x : x + 6] = 9
    guess = np.where(draw.random(9) < 0.1, 2, categories)
    return annotation(noisy, moved, guess), truth


def annotation(semantic: Any, instances: Any, categories: Any, **more: Any) -> Annotation:
    semantic, instances = np.array(semantic, np.uint8), np.array(instances, np.int32)
    given = {name: torch.tensor(value) for name, value in more.items()}
    return Annotation(
        (semantic.shape[0], semantic.shape[1]),
        semantic=torch.from_numpy(semantic),
        instances=torch.from_numpy(instances),
        categories=torch.tensor(np.array(categories, np.int64)),
        **given,
    )


def scored(*pairs: tuple[Annotation, Annotation], info: Info = INFO) -> PanopticQuality:
    metric = PanopticQuality(info)
    for prediction, truth in pairs:
        metric.update([prediction], [truth])
    return metric


def strip(row: list[int], owner: list[int], categories: list[int], **more: Any) -> Annotation:
    """An image of one row."""
    return annotation([row], [owner], categories, **more)


def slow(*pairs: tuple[Annotation, Annotation]) -> dict[str, float | None]:
    total: dict[int, tuple[list[float], int, int]] = {c: ([], 0, 0) for c in range(len(CLASSES))}
    for both in pairs:
        found, truth = (
            slow_panoptic.segments(
                a.semantic.numpy(), a.instances.numpy(), a.categories.tolist(), list(THINGS),
                [False] * len(a.categories) if a.crowd is None else a.crowd.tolist(),
            )
            for a in both
        )  # fmt: skip
        pixels = {(y, x) for y in range(both[0].size[0]) for x in range(both[0].size[1])}
        for category, (ious, wrong, missed) in slow_panoptic.count(truth, found, pixels).items():
            old = total[category]
            total[category] = (old[0] + ious, old[1] + wrong, old[2] + missed)
    each = {c: slow_panoptic.scores(*part) for c, part in total.items() if any(map(bool, part))}
    result: dict[str, float | None] = {f"pq/{n}": each[c][0] if c in each else None for c, n in enumerate(CLASSES)}
    for group, kinds in {"": range(5), "_things": THINGS, "_stuff": (0, 1, 4)}.items():
        rows = [each[c] for c in kinds if c in each]
        for i, name in enumerate(("pq", "sq", "rq")):
            result[name + group] = sum(row[i] for row in rows) / len(rows) if rows else None
    return result


@pytest.mark.parametrize("seed", range(12))
def test_scores_equal_the_definition_pixel_by_pixel(seed: int) -> None:
    pairs = [pair(2 * seed), pair(2 * seed + 1)]
    found, expected = scored(*pairs).compute(), slow(*pairs)
    assert found.keys() == expected.keys()
    assert found == {name: pytest.approx(value, abs=1e-12) for name, value in expected.items()}


def test_scores_equal_those_of_the_coco_panoptic_api() -> None:
    found = scored(*(pair(seed) for seed in range(4))).compute()
    assert found == {name: pytest.approx(value, abs=1e-12) for name, value in OFFICIAL.items()}


def test_the_ground_truth_scores_1_and_classes_that_are_nowhere_are_undefined() -> None:
    truth = strip([0, 0, 2, 2, 3, VOID], [0, 0, 1, 1, 2, 0], [2, 3])
    found = scored((truth, truth)).compute()
    names = ("pq", "sq", "rq", "pq_things", "pq_stuff", "pq/sky", "pq/car")
    assert [found[name] for name in names] == [1.0] * len(names)
    assert found["pq/road"] is None


def test_half_an_overlap_is_no_match_and_a_little_more_is_one() -> None:
    truth = strip([0] * 8, [1] * 3 + [0] * 5, [2])
    half = scored((strip([0] * 8, [1] * 6 + [0] * 2, [2]), truth)).compute()
    more = scored((strip([0] * 8, [1] * 5 + [0] * 3, [2]), truth)).compute()
    assert (half["pq/car"], half["pq_things"]) == (0.0, 0.0)
    assert more["pq/car"] == more["sq_things"] == 3 / 5


def test_void_is_left_out_of_the_union_and_excuses_what_lies_on_it_by_more_than_half() -> None:
    truth = strip([2] * 3 + [VOID] * 3 + [0, 0], [1] * 3 + [0] * 5, [2])
    over = strip([2] * 6 + [0, 0], [1] * 6 + [0] * 2, [2])
    assert scored((over, truth)).compute()["pq/car"] == 1.0
    person = strip([VOID] * 8, [0, 0, 1, 1, 1, 0, 0, 0], [3])  # two of three pixels
    assert scored((person, truth)).compute()["pq/person"] is None
    person = strip([VOID] * 8, [0, 0, 1, 1, 0, 0, 0, 0], [3])  # one of two
    assert scored((person, truth)).compute()["pq/person"] == 0.0


def test_thing_pixels_without_instance_are_void_in_the_ground_truth_and_nothing_in_the_prediction() -> None:
    none = strip([2, 2, 2, 0], [0, 0, 0, 0], [])
    car = strip([2, 2, 2, 0], [1, 1, 1, 0], [2])
    assert scored((car, none)).compute()["pq/car"] is None
    assert scored((none, car)).compute()["pq/car"] == 0.0


def test_crowds_are_not_missed_and_excuse_their_class_alone() -> None:
    crowd = {"crowd": [True]}
    truth = strip([2] * 6 + [0, 0], [1] * 6 + [0, 0], [2], **crowd)
    cars = strip([2] * 6 + [0, 0], [1, 1, 2, 2, 2, 2, 0, 0], [2, 2])
    assert scored((cars, truth)).compute()["pq/car"] is None
    assert scored((strip([0] * 8, [1] * 6 + [0, 0], [3]), truth)).compute()["pq/person"] == 0.0
    nobody = scored((strip([0] * 8, [0] * 8, []), truth)).compute()
    assert (nobody["pq/car"], nobody["pq/sky"]) == (None, 0.0)


def test_every_crowd_of_a_class_excuses() -> None:
    truth = strip([2] * 6, [1, 1, 1, 2, 2, 2], [2, 2], crowd=[True, True])
    for owner in ([1, 1, 0, 0, 0, 0], [0, 0, 0, 0, 1, 1]):
        assert scored((strip([0] * 6, owner, [2]), truth)).compute()["pq/car"] is None


def test_what_is_to_be_ignored_is_void_except_in_crowds() -> None:
    ignore = torch.tensor([[False, False, True, True, True, True]])
    truth = strip([0, 0, 0, 0, 2, 2], [0, 0, 0, 0, 1, 1], [2], crowd=[True])
    truth.ignore = ignore
    prediction = strip([0] * 6, [0, 0, 1, 1, 2, 2], [3, 3])
    found = scored((prediction, truth)).compute()
    assert found["pq/sky"] == 1.0
    assert found["pq/person"] == 0.0  # the first person is excused, the second stands on a crowd of cars


def test_instances_without_categories_are_of_the_first_thing_class() -> None:
    truth, prediction = strip([0, 2], [0, 1], [2]), strip([0, 2], [0, 1], [2])
    prediction.categories = None
    assert scored((prediction, truth)).compute()["pq/car"] == 1.0


def test_an_instance_without_pixels_is_neither_missed_nor_wrong() -> None:
    truth, prediction = strip([0, 2], [0, 1], [2, 3]), strip([0, 2], [0, 1], [2, 3, 3])
    assert scored((prediction, truth)).compute()["pq/person"] is None


def test_nothing_to_evaluate_is_undefined() -> None:
    void = strip([VOID] * 3, [0] * 3, [])
    for metric in (scored(), scored((void, void)), scored((strip([0] * 3, [1] * 3, [3]), void))):
        assert set(metric.compute().values()) == {None}


def test_sorting_finds_the_same_pairs_as_counting(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = scored(pair(3)).compute()
    monkeypatch.setattr(pair_counts, "DENSE", 0)
    assert scored(pair(3)).compute() == counted


def test_parts_merge_to_the_whole_to_the_last_digit_in_any_order() -> None:
    pairs = [pair(seed) for seed in range(9)]
    whole = scored(*pairs).compute()
    for order in ((0, 1, 2), (2, 0, 1)):
        first, *others = (pickle.loads(pickle.dumps(scored(*pairs[i::3]))) for i in order)
        for other in others:
            first.merge(other)
        assert first.compute() == whole


def test_a_task_or_a_dataset_without_instances_is_refused() -> None:
    full, bare = strip([0], [0], []), Annotation((1, 1), semantic=torch.zeros(1, 1, dtype=torch.uint8))
    with pytest.raises(UserError, match="needs instances, which this task does not predict"):
        scored((bare, full))
    with pytest.raises(UserError, match="needs instances, which this dataset does not label"):
        scored((full, bare))
