"""Scores of cells against slow loops over pairs of pixels, threshold by threshold."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from scipy import ndimage

from densepred.metric.em_segmentation import NAMES, EmSegmentation
from densepred.ops.regions import segments
from densepred.types import VOID, Annotation, Info, UserError
from tests.reference import slow_segments

INFO = Info(classes=("membrane", "cell"))
Pair = tuple[np.ndarray, np.ndarray]


def pair(seed: int, shape: tuple[int, int] = (17, 21)) -> Pair:
    """The probability of cell, and a truth with some void."""
    noise = [ndimage.gaussian_filter(np.random.default_rng(s).normal(size=shape), 1.2) for s in (seed, seed + 70)]
    truth = (noise[0] > 0.1).astype(np.uint8)
    truth[:2, :5] = VOID
    chance = 1 / (1 + np.exp(-8 * (noise[0] + 0.3 * noise[1] - 0.1)))
    return chance.astype(np.float32), truth


def scored(*pairs: Pair, **options) -> EmSegmentation:
    metric = EmSegmentation(INFO, **options)
    for chance, truth in pairs:
        size = (truth.shape[0], truth.shape[1])
        both = torch.from_numpy(np.stack([1 - chance, chance]))
        guess = Annotation(size, semantic=both.argmax(0).byte(), probabilities=both if metric.probabilities else None)
        metric.update([guess], [Annotation(size, semantic=torch.from_numpy(truth))])
    return metric


def slow(chance: np.ndarray, truth: np.ndarray, threshold: float) -> list[float]:
    cells = slow_segments.fill(truth == 1)
    found = segments.thinned(slow_segments.fill(chance > threshold))
    both, first, second = slow_segments.rand(found, cells)
    shared, hs, ht = slow_segments.information(found, cells)
    info = [2 * shared / (hs + ht), shared / hs if hs else 1.0, shared / ht if ht else 1.0]
    return [2 * both / (first + second), both / first, both / second, *info]


def test_the_best_threshold_of_the_mean_over_images_counts() -> None:
    pairs, thresholds = [pair(0), pair(1)], (0.3, 0.5, 0.8)
    found = scored(*pairs, thresholds=thresholds).compute()
    rows = np.array([np.mean([slow(*p, t) for p in pairs], 0) for t in thresholds])
    for first in (0, 3):
        best = int(rows[:, first].argmax())
        assert [found[n] for n in NAMES[first : first + 3]] == pytest.approx(rows[best, first : first + 3], abs=1e-9)
        assert found[f"{NAMES[first]}_threshold"] == thresholds[best]


def test_a_pixel_as_probable_as_the_threshold_is_membrane() -> None:
    """Two cells meet at a wall of probability 0.5: they are two at a threshold of 0.5, and one below it."""
    chance = np.ones((9, 11), np.float32)
    chance[:, 5] = 0.5
    truth = (chance > 0.5).astype(np.uint8)
    assert scored((chance, truth), thresholds=[0.5]).compute()["v_rand"] == 1
    found = scored((chance, truth), thresholds=[0.25]).compute()["v_rand"]
    assert found is not None
    assert found < 1


def test_without_thresholds_the_class_map_is_evaluated() -> None:
    metric = scored(pair(2), thresholds=[])
    assert not metric.probabilities
    found = metric.compute()
    assert list(found) == list(NAMES)
    assert [found[name] for name in NAMES] == pytest.approx(slow(*pair(2), 0.5), abs=1e-9)


def test_pairs_of_the_whole_dataset_are_those_of_all_its_images() -> None:
    pairs = [pair(3), pair(4, (9, 30))]
    found = scored(*pairs, thresholds=[0.5], per_image=False).compute()
    sums = np.zeros(3)
    for chance, truth in pairs:
        sums += slow_segments.rand(segments.thinned(slow_segments.fill(chance > 0.5)), slow_segments.fill(truth == 1))
    assert found["v_rand"] == pytest.approx(2 * sums[0] / (sums[1] + sums[2]), abs=1e-9)
    assert found["v_rand_split"] == pytest.approx(sums[0] / sums[1], abs=1e-9)


def test_a_perfect_prediction_is_one_and_a_merged_or_torn_one_lowers_its_own_part() -> None:
    truth = np.ones((9, 11), np.uint8)
    truth[:, 5] = 0
    assert set(scored((truth.astype(np.float32), truth), thresholds=[]).compute().values()) == {1.0}
    merged = scored((np.ones((9, 11), np.float32), truth), thresholds=[]).compute()
    assert merged["v_rand"] == pytest.approx(2 / 3)  # half of the pairs of one segment of 90 pixels are right
    assert (merged["v_rand_split"], merged["v_rand_merge"]) == (1.0, 0.5)
    assert (merged["v_info"], merged["v_info_split"], merged["v_info_merge"]) == (0.0, 1.0, 0.0)
    torn = truth.astype(np.float32)
    torn[4, :5] = 0
    found = scored((torn, truth), thresholds=[]).compute()
    assert found["v_rand_merge"] == 1.0
    assert (found["v_rand_split"] or 1) < 1


def test_an_image_without_cells_is_left_out_and_nothing_at_all_is_undefined() -> None:
    empty = (np.ones((5, 5), np.float32), np.zeros((5, 5), np.uint8))
    assert scored(pair(5), empty).compute() == scored(pair(5)).compute()
    assert set(scored(empty).compute().values()) == {None}


@pytest.mark.parametrize("per_image", [True, False])
def test_parts_merge_to_the_whole_in_any_order(per_image: bool) -> None:
    pairs = [pair(seed) for seed in range(5)]
    whole = scored(*pairs, per_image=per_image)
    left, right = scored(*pairs[3:], per_image=per_image), scored(*pairs[:3], per_image=per_image)
    left.merge(pickle.loads(pickle.dumps(right)))
    assert left.compute() == whole.compute()


@pytest.mark.parametrize(
    "options", [{"membrane": 2}, {"membrane": -1}, {"connectivity": 6}, {"thresholds": [1.0]}, {"thresholds": [-0.1]}]
)
def test_what_does_not_fit_is_refused_by_its_key(options: dict) -> None:
    with pytest.raises(UserError, match=rf"metric\.em_segmentation\.{next(iter(options))}: .*; give "):
        EmSegmentation(INFO, **options)
