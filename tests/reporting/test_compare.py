"""Significance, seeds and the Pareto front, against results known by other means."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from densepred.ops.score.confusion import per_class
from densepred.reporting import compare
from densepred.reporting.runs import Evaluation, Run


def evaluation(matrices: np.ndarray, split: str = "valid") -> Evaluation:
    names = {f"{number:03}": matrix for number, matrix in enumerate(matrices)}
    classes = tuple("abc"[: matrices.shape[1]])
    return Evaluation(Path("x"), split, {}, classes, names)


def images(right: float, count: int = 40, seed: int = 0) -> np.ndarray:
    """Confusion matrices of two classes in which about `right` of 100 pixels per class are right."""
    rng = np.random.default_rng(seed)
    hits = rng.binomial(100, right, size=(count, 2))
    found = np.zeros((count, 2, 3), np.int64)
    found[:, 0, 0], found[:, 0, 1] = hits[:, 0], 100 - hits[:, 0]
    found[:, 1, 1], found[:, 1, 0] = hits[:, 1], 100 - hits[:, 1]
    return found


def run(name: str, score: float | None, *overrides: str, mode: str = "max") -> Run:
    return Run(Path(name), name, "miou", mode, {"miou": score}, 10, 5.0, 100.0, 60.0, overrides, {})


def test_mean_iou_is_that_of_the_metric() -> None:
    counts = np.random.default_rng(1).integers(0, 9, (5, 3, 4))
    counts[2, 1] = 0
    counts[2, :, 1] = 0  # a class without a pixel does not count
    want = [per_class(torch.from_numpy(one))["iou"].nanmean().item() for one in counts]
    assert compare.miou(counts) == pytest.approx(want)


def test_a_clear_difference_is_significant_and_its_interval_is_that_of_the_sampling() -> None:
    test = compare.paired("one", evaluation(images(0.8)), "two", evaluation(images(0.9, seed=1)))
    assert test is not None
    assert test.significant
    assert test.low < test.difference < test.high
    scores = [[float(compare.miou(images(right, seed=s).sum(0))) for s in range(300)] for right in (0.9, 0.8)]
    draws = np.subtract(scores[0], scores[1][::-1])
    assert (test.high - test.low) / 4 == pytest.approx(np.std(draws), rel=0.35)
    assert f"two is better than one by {test.difference:.4f} mIoU" in test.sentence()
    assert f"95 % interval {test.low:.4f} to {test.high:.4f}" in test.sentence()
    back = compare.paired("two", evaluation(images(0.9, seed=1)), "one", evaluation(images(0.8)))
    assert back is not None
    assert back.sentence() == test.sentence()


def test_equal_and_nearly_equal_runs_do_not_differ_significantly() -> None:
    same = compare.paired("one", evaluation(images(0.8)), "two", evaluation(images(0.8)))
    assert same is not None
    assert (same.difference, same.low, same.high, same.p) == (0, 0, 0, 1)
    assert "no significant difference" in same.sentence()
    near = compare.paired("one", evaluation(images(0.8)), "two", evaluation(images(0.8, seed=7)))
    assert near is not None
    assert not near.significant


def test_rarely_wrong_about_equal_runs() -> None:
    """A 95 % interval excludes zero for about one pair of equal runs in twenty."""
    tests = [
        compare.paired("a", evaluation(images(0.8, seed=2 * s)), "b", evaluation(images(0.8, seed=2 * s + 1)))
        for s in range(60)
    ]
    assert sum(test is not None and test.significant for test in tests) <= 9


def test_only_common_images_of_one_split_are_compared() -> None:
    first = images(0.8)
    shorter = compare.paired("one", evaluation(first), "two", evaluation(first[:30]))
    assert shorter is not None
    assert (shorter.images, shorter.left_out) == (30, 10)
    assert "10 images left out, of one run alone or without labels" in shorter.sentence()
    assert compare.paired("one", evaluation(first), "two", evaluation(first, "test")) is None
    relabelled = first.copy()
    relabelled[3, 0, 0] += 1
    assert compare.paired("one", evaluation(first), "two", evaluation(relabelled)) is None
    assert compare.paired("one", evaluation(first), "two", evaluation(first[:1])) is None


def test_images_without_a_label_leave_the_interval_finite() -> None:
    bare = images(0.8, count=9) * (np.arange(9) < 3)[:, None, None]
    test = compare.paired("one", evaluation(bare), "two", evaluation(bare))
    assert test is not None
    assert (test.images, test.left_out, test.low, test.high) == (3, 6, 0, 0)


def test_seeds_of_one_setting_have_a_mean_and_a_sample_deviation() -> None:
    runs = [
        *(run("a0", 0.5, "loss=ce"), run("a1", 0.7, "seed=1", "loss=ce", "data.workers=4")),
        *(run("b0", 0.8, "loss=dice"), run("c", None, "loss=focal")),
    ]
    found = compare.groups(runs)
    assert [(group.setting, len(group.runs)) for group in found] == [
        *((("loss=dice",), 1), (("loss=ce",), 2), (("loss=focal",), 1)),
    ]
    assert found[1].mean == pytest.approx(0.6)
    assert found[1].spread == pytest.approx(0.02**0.5)
    assert found[0].spread is None
    assert found[2].mean is None


def test_the_pareto_front_holds_what_nothing_beats() -> None:
    points = {"slow": (1.0, 0.9), "fast": (9.0, 0.5), "poor": (1.0, 0.4), "middle": (5.0, 0.7), "beaten": (4.0, 0.6)}
    assert compare.pareto(points) == {"slow", "fast", "middle"}
    assert compare.pareto(points, "min") == {"fast", "poor"} | {name for name in points if name == "fast"}
    assert compare.pareto({"a": (1.0, 1.0), "b": (1.0, 1.0)}) == {"a", "b"}
