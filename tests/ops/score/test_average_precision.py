"""COCO's curves of single boxes by hand. The scores against pycocotools on files: tests/metric/test_box_ap.py."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from densepred.ops.score.average_precision import Objects, curves

FULL, HALF, EMPTY = (0, 0, 10, 10), (0, 0, 10, 6), (50, 50, 10, 10)


def objects(*boxes: tuple[float, ...], scores: Any = None, categories: Any = None, crowd: Any = None) -> Objects:
    count = len(boxes)
    array = np.array(boxes, np.float64).reshape(-1, 4)
    return Objects(
        (100, 100),
        np.full(count, 1) if categories is None else np.array(categories, np.int64),
        array[:, 2] * array[:, 3],
        array,
        np.ones(count) if scores is None else np.array(scores, np.float64),
        np.zeros(count, bool) if crowd is None else np.array(crowd),
    )


def summary(*pairs: tuple[Objects, Objects], categories: tuple[int, ...] = (1,)) -> Any:
    most = (1, 10)
    found = curves(pairs, "bbox", categories, most)
    return found.summary(most, [f"c{c}" for c in categories], "")


def test_a_box_of_iou_06_is_found_at_three_of_ten_overlaps() -> None:
    found = summary((objects(FULL), objects(HALF)))
    assert (found["ap50"], found["ap75"]) == (pytest.approx(1), 0)
    assert found["ap"] == pytest.approx(3 / 10)
    assert found["ar"] == pytest.approx(3 / 10)


def test_a_wrong_result_of_higher_score_halves_the_precision_and_of_lower_score_costs_nothing() -> None:
    assert summary((objects(FULL), objects(EMPTY, FULL, scores=[0.9, 0.8])))["ap"] == pytest.approx(0.5)
    assert summary((objects(FULL), objects(EMPTY, FULL, scores=[0.8, 0.9])))["ap"] == pytest.approx(1)


def test_recall_by_number_counts_the_best_results_of_each_image() -> None:
    found = summary((objects(FULL, EMPTY), objects(FULL, EMPTY, scores=[0.9, 0.8])))
    assert (found["ar1"], found["ar"]) == (0.5, 1.0)


def test_categories_keep_the_order_they_were_given_in_and_empty_ones_are_undefined() -> None:
    truth, result = objects(FULL, EMPTY, categories=[3, 7]), objects(FULL, categories=[7])
    found = summary((truth, result), (objects(FULL, categories=[3]),) * 2, categories=(7, 3, 5))
    assert found["ap/c7"] == 0
    assert found["ap/c3"] == pytest.approx(51 / 101)  # one of two found: recalls 0, 0.01 ... 0.5
    assert found["ap/c5"] is None


def test_sizes_go_by_the_area_of_the_ground_truth() -> None:
    found = summary((objects(FULL, (20, 20, 40, 40)), objects((20, 20, 40, 40))))
    assert (found["ap_small"], found["ap_medium"], found["ap_large"]) == (0, pytest.approx(1), None)


def test_crowds_are_not_missed_and_excuse_results_on_them() -> None:
    truth = objects(FULL, EMPTY, crowd=[False, True])
    found = summary((truth, objects(FULL, (51, 51, 3, 3), (52, 52, 3, 3), scores=[0.5, 0.9, 0.8])))
    assert (found["ap"], found["ar"]) == (pytest.approx(1), 1)


def test_the_order_of_images_changes_no_digit_though_scores_tie() -> None:
    pairs = [(objects((i, 0, 10, 10)), objects((i + i % 3, 0, 10, 10))) for i in range(7)]
    assert summary(*pairs) == summary(*reversed(pairs))


def test_recall_at_single_overlaps_is_asked_for_by_strict() -> None:
    found = curves([(objects(FULL), objects(HALF))], "bbox", [1], [10]).summary([10], ["a"], "box_", strict=True)
    assert (found["box_ar50"], found["box_ar75"]) == (1, 0)
