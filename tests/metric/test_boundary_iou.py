"""Boundary IoU against erosions of one mask at a time, and by hand."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from densepred.metric.boundary_iou import BoundaryIou
from densepred.types import VOID, Annotation, Info, UserError
from tests.reference import slow_boundary

INFO = Info(classes=("road", "tree", "car"))


def blobs(seed: int, shape: tuple[int, int], classes: int = 3) -> np.ndarray:
    """Blobs of labels, not noise: erosions must leave something."""
    draw = np.random.default_rng(seed)
    coarse = draw.integers(0, classes, (shape[0] // 9 + 1, shape[1] // 9 + 1))
    return np.kron(coarse, np.ones((9, 9), int))[: shape[0], : shape[1]].astype(np.uint8)


def pair(seed: int, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    truth = blobs(seed, shape)
    guess = np.roll(truth, (2, -1), (0, 1))
    draw = np.random.default_rng(seed + 100)
    guess = np.where(draw.random(shape) < 0.05, draw.integers(0, 3, shape), guess).astype(np.uint8)
    truth[blobs(seed + 50, shape) == 2] = VOID
    return guess, truth


def scored(*pairs: tuple[np.ndarray, np.ndarray], info: Info = INFO, ratio: float = 0.02) -> BoundaryIou:
    metric = BoundaryIou(info, ratio)
    for guess, truth in pairs:
        size = (guess.shape[0], guess.shape[1])
        metric.update(
            [Annotation(size, semantic=torch.from_numpy(guess))], [Annotation(size, semantic=torch.from_numpy(truth))]
        )
    return metric


@pytest.mark.parametrize("ratio", [0.02, 0.08, 0.5])
def test_it_equals_erosions_of_each_mask(ratio: float) -> None:
    shapes = [(37, 45), (81, 64), (5, 90), (1, 1)]
    pairs = [pair(seed, shape) for seed, shape in enumerate(shapes)]
    pairs += [
        (np.where(blobs(seed, truth.shape) == 1, VOID, guess).astype(np.uint8), truth)
        for seed, (guess, truth) in enumerate(pairs)
    ]
    found = scored(*pairs, ratio=ratio).compute()
    each = []
    for number, name in enumerate(INFO.classes):
        hit = union = 0
        for guess, truth in pairs:
            reach = max(1, round(ratio * np.hypot(*truth.shape)))
            areas = slow_boundary.boundary_areas(truth == number, guess == number, truth != VOID, reach)
            hit, union = hit + areas[0], union + areas[1]
        assert found[f"boundary_iou/{name}"] == pytest.approx(hit / union, abs=1e-12)
        each.append(hit / union)
    assert found["boundary_iou"] == pytest.approx(np.mean(each), abs=1e-12)


def test_a_shifted_square_by_hand() -> None:
    """Two 4 x 4 squares a pixel apart on 16 x 16: outlines of one pixel are rings of 12 that share 6."""
    truth, guess = np.zeros((16, 16), np.uint8), np.zeros((16, 16), np.uint8)
    truth[4:8, 4:8], guess[4:8, 5:9] = 1, 1
    found = scored((guess, truth), info=Info(classes=("ground", "square"))).compute()
    assert found["boundary_iou/square"] == 6 / 18


def test_a_perfect_prediction_is_one_beside_void_too() -> None:
    _, truth = pair(3, (60, 70))
    guess = np.where(truth == VOID, 1, truth).astype(np.uint8)
    assert set(scored((guess, truth)).compute().values()) == {1.0}


def test_absent_classes_are_undefined_and_wrongly_predicted_ones_are_zero() -> None:
    truth = np.array([[0, 0, VOID]], np.uint8)
    found = scored((np.array([[0, 1, 2]], np.uint8), truth)).compute()
    assert found["boundary_iou/road"] == 0.5
    assert found["boundary_iou/tree"] == 0.0
    assert found["boundary_iou/car"] is None
    assert found["boundary_iou"] == 0.25


def test_no_known_pixel_makes_every_score_undefined() -> None:
    found = scored((np.zeros((3, 4), np.uint8), np.full((3, 4), VOID, np.uint8))).compute()
    assert set(found.values()) == {None}


def test_all_255_classes_are_distinguished() -> None:
    info = Info(classes=tuple(map(str, range(255))))
    truth = np.arange(255, dtype=np.uint8).repeat(25).reshape(255, 5, 5).transpose(1, 0, 2).reshape(5, -1)
    guess = np.where(truth == 254, 253, truth).astype(np.uint8)
    found = scored((guess, np.ascontiguousarray(truth)), info=info, ratio=0.0001).compute()
    assert found["boundary_iou/0"] == 1.0
    assert found["boundary_iou/254"] == 0.0
    # 253 has a ring of 16 in 5 x 5 pixels, predicted as a ring of 26 in 5 x 10: all but the inner column is shared
    assert found["boundary_iou/253"] == 13 / 29


def test_parts_merge_to_the_whole_and_travel_between_processes() -> None:
    pairs = [pair(seed, (40, 50)) for seed in range(4)]
    whole, left, right = scored(*pairs), scored(*pairs[:1]), scored(*pairs[1:])
    left.merge(pickle.loads(pickle.dumps(right)))
    assert left.compute() == whole.compute()


def test_a_ratio_out_of_range_is_refused() -> None:
    with pytest.raises(UserError, match=r"metric\.boundary_iou\.ratio: 0"):
        BoundaryIou(INFO, 0.0)
