"""hotcoco against pycocotools: equal in every bit, on datasets with ties, crowds, and nothing."""

from __future__ import annotations

import os
import signal
import time
import warnings
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest
from pycocotools import mask as rle

from densepred.errors import Notice
from densepred.ops.score import coco_engine
from densepred.ops.score.average_precision import Objects, Pair, curves
from tests.conftest import PATIENCE

pytest.importorskip("hotcoco")
SIZE, JOINTS, CATEGORIES = (120, 150), 5, (7, 2, 5, 9)  # 9 is nowhere
Kind = Literal["bbox", "segm", "keypoints"]


def drawn(random: np.random.Generator, kind: Kind, boxes: np.ndarray, truth: bool) -> Objects:
    count = len(boxes)
    corners = [[x, y, x + w, y, x + 0.8 * w, y + h, x, y + 0.7 * h] for x, y, w, h in boxes.tolist()]
    encoded = [rle.frPyObjects([points], *SIZE)[0] for points in corners] if kind == "segm" else []
    masks: list[Any] = [one["counts"] for one in encoded]
    points = np.concatenate(
        (
            boxes[:, None, :2] + random.uniform(0, 1, (count, JOINTS, 2)) * boxes[:, None, 2:],
            random.choice([0, 1, 2], (count, JOINTS, 1)),
        ),
        -1,
    )
    return Objects(
        SIZE,
        random.choice(CATEGORIES[:3], count),
        boxes[:, 2] * boxes[:, 3],
        boxes,
        random.integers(0, 20, count) / 20,  # many tie
        (random.random(count) < 0.15) & truth,
        tuple(masks),
        points if kind == "keypoints" else None,
    )


def pairs(kind: Kind, seed: int, images: int = 12) -> list[Pair]:
    random = np.random.default_rng(seed)
    found = []
    for _ in range(images):
        count = int(random.integers(0, 9))
        sides = random.choice([6, 20, 50, 110], (count, 2)) * random.uniform(0.6, 1, (count, 2))
        boxes = np.concatenate((random.uniform(0, 1, (count, 2)) * (np.array(SIZE[::-1]) - sides), sides), 1)
        truth = drawn(random, kind, boxes, truth=True)
        moved = boxes + random.normal(0, 2, boxes.shape)
        moved[:, 2:] = moved[:, 2:].clip(1)
        result = drawn(random, kind, np.concatenate((moved, boxes[:1])), truth=False)
        found.append((truth, _like(random, result, truth)))
    return found


def _like(random: np.random.Generator, result: Objects, truth: Objects) -> Objects:
    """Give predictions the classes of the ground truth, and keypoints near its own."""
    rows = np.resize(np.arange(len(truth.categories)), len(result.categories))
    points = None
    if truth.keypoints is not None:
        points = truth.keypoints[rows]
        points[..., :2] += random.normal(0, 2, points[..., :2].shape)
    return replace(result, categories=truth.categories[rows], keypoints=points)


def both(monkeypatch: pytest.MonkeyPatch, *arguments: Any) -> list[Any]:
    results = []
    for engine in (coco_engine.hotcoco, coco_engine.pycocotools):
        monkeypatch.setattr(coco_engine, "chosen", engine)
        results.append(curves(*arguments))
    return results


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", ["bbox", "segm", "keypoints"])
def test_both_libraries_count_the_same_bits(monkeypatch: pytest.MonkeyPatch, kind: Kind, seed: int) -> None:
    most = (20,) if kind == "keypoints" else (1, 3, 100)
    sigmas = np.linspace(0.02, 0.1, JOINTS).tolist() if kind == "keypoints" else None
    ours, oracle = both(monkeypatch, pairs(kind, seed), kind, CATEGORIES, most, sigmas)
    assert oracle.precision.max() > 0
    assert np.array_equal(ours.precision, oracle.precision)
    assert np.array_equal(ours.recall, oracle.recall)


@pytest.mark.parametrize("side", [0, 1, 2])
@pytest.mark.parametrize("kind", ["bbox", "segm", "keypoints"])
def test_both_agree_without_ground_truth_predictions_or_images(
    monkeypatch: pytest.MonkeyPatch, kind: Kind, side: int
) -> None:
    given = pairs(kind, 1)
    nothing = drawn(np.random.default_rng(0), kind, np.zeros((0, 4)), truth=True)
    given = [] if side == 2 else [(nothing, b) if side == 0 else (a, nothing) for a, b in given]
    sigmas = [0.05] * JOINTS if kind == "keypoints" else None
    ours, oracle = both(monkeypatch, given, kind, CATEGORIES, (10,), sigmas)
    assert np.array_equal(ours.precision, oracle.precision)
    assert np.array_equal(ours.recall, oracle.recall)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["boxes", "scores", "areas"])
def test_both_agree_on_predictions_that_are_no_numbers(
    monkeypatch: pytest.MonkeyPatch, name: str, value: float
) -> None:
    given = pairs("bbox", 1)
    for _, result in given:
        getattr(result, name)[:1] = value
    ours, oracle = both(monkeypatch, given, "bbox", CATEGORIES, (10,))
    assert np.array_equal(ours.precision, oracle.precision)
    assert np.array_equal(ours.recall, oracle.recall)


@pytest.mark.parametrize(
    ("release", "text"), [("1.3.0", "is counted by hotcoco 1.3.0"), ("1.2.9", "hotcoco 1.2.9 .* 1.3 or later")]
)
def test_the_library_is_named_in_one_line(monkeypatch: pytest.MonkeyPatch, release: str, text: str) -> None:
    monkeypatch.setattr(coco_engine, "version", lambda _: release)
    with pytest.warns(Notice, match=text):
        assert (coco_engine.chosen().evaluation.__module__ == "pycocotools.cocoeval") == (release < "1.3")


def test_without_the_extra_pycocotools_counts_without_a_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise coco_engine.PackageNotFoundError(name)

    monkeypatch.setattr(coco_engine, "version", missing)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert coco_engine.chosen().evaluation.__module__ == "pycocotools.cocoeval"


def test_a_fork_of_a_process_that_has_counted_counts_too() -> None:
    """The threads of hotcoco are no part of a fork, which would wait for them without end."""
    given = pairs("bbox", 1)
    expected = curves(given, "bbox", CATEGORIES, (10,))
    child = os.fork()
    if child == 0:
        code = 1
        try:
            found = curves(given, "bbox", CATEGORIES, (10,))
            code = int(not np.array_equal(found.precision, expected.precision))
        finally:
            os._exit(code)
    end = time.monotonic() + PATIENCE / 3
    while not (ended := os.waitpid(child, os.WNOHANG))[0] and time.monotonic() < end:
        time.sleep(0.02)
    if not ended[0]:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert ended == (child, 0), "the fork waits" if not ended[0] else "the fork failed"
