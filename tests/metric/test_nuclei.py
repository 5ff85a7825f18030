"""Scores of nuclei against slow loops over masks, and against figures that other programs give."""

from __future__ import annotations

import pickle
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

from densepred.metric.nuclei import PERCENT, Nuclei
from densepred.types import VOID, Annotation, Info, UserError
from tests.reference import slow_nuclei

INFO = Info(classes=("background", "nucleus"), things=(1,), provides=("semantic", "instances", "crowd"))
Pair = tuple[Annotation, Annotation]


def blobs(seed: int, size: tuple[int, int], count: int, gap: bool = False) -> np.ndarray:
    """Discs that touch and hide one another, numbered with or without gaps."""
    draw, ids = np.random.default_rng(seed), np.zeros(size, np.int32)
    y, x = np.mgrid[: size[0], : size[1]]
    for number in range(1, count + 1):
        top, left, radius = draw.uniform(0, size[0]), draw.uniform(0, size[1]), draw.uniform(0.4, 5)
        ids[(y - top) ** 2 + (x - left) ** 2 <= radius**2] = number + (300 if gap else 0)
    return ids


def annotation(ids: np.ndarray, **more: Any) -> Annotation:
    return Annotation((ids.shape[0], ids.shape[1]), instances=torch.from_numpy(ids.astype(np.int32)), **more)


def pair(seed: int) -> Pair:
    """A truth and a prediction that moves, drops and adds some; on odd seeds with a crowd, void and ignored pixels."""
    draw = np.random.default_rng(seed)
    size = (int(draw.integers(1, 30)), int(draw.integers(1, 36)))
    truth = blobs(seed, size, int(draw.integers(0, 12)))
    found = np.roll(truth, tuple(draw.integers(-1, 2, 2)), (0, 1))
    found[np.isin(found, draw.integers(1, 13, 3))] = 0
    extra = blobs(seed + 1, size, int(draw.integers(0, 4)), gap=seed % 3 == 0)
    found = np.where(extra > 0, extra + 12, found)
    wanted = annotation(truth)
    if seed % 2:
        labels = (truth > 0).astype(np.uint8)
        labels[draw.random(size) < 0.1] = VOID
        wanted.semantic = torch.from_numpy(labels)
        wanted.crowd = torch.from_numpy(draw.random(int(truth.max(initial=0))) < 0.2)
        wanted.ignore = torch.from_numpy(blobs(seed + 2, size, 1) > 0)
    return annotation(found), wanted


def left_out(truth: Annotation) -> np.ndarray:
    assert truth.instances is not None
    out = np.zeros(truth.size, bool)
    if truth.crowd is not None:
        out |= np.isin(truth.instances.numpy(), truth.crowd.nonzero()[:, 0].numpy() + 1)
    if truth.semantic is not None:
        out |= truth.semantic.numpy() == VOID
    return out if truth.ignore is None else out | truth.ignore.numpy()


def slow(found: Annotation, truth: Annotation) -> np.ndarray:
    assert found.instances is not None
    assert truth.instances is not None
    maps = (found.instances.numpy(), truth.instances.numpy(), left_out(truth))
    rows = [slow_nuclei.counts(*maps, Fraction(percent, 100)) for percent in PERCENT]
    return np.array([*rows, slow_nuclei.jaccard(*maps)])


def scored(*pairs: Pair, **options: Any) -> Nuclei:
    metric = Nuclei(INFO, **options)
    for found, truth in pairs:
        metric.update([found], [truth])
    return metric


def test_counts_equal_a_slow_reference_on_random_pairs() -> None:
    nothing = 0
    for seed in range(60):
        found, truth = pair(seed)
        wanted = slow(found, truth)
        assert scored((found, truth)).sums.tolist() == wanted.tolist(), seed
        nothing += not wanted[0, 0]
    assert 6 < nothing < 36  # the pairs are neither all easy nor all hopeless


@pytest.mark.parametrize("average", ["dataset", "image"])
def test_images_are_averaged_as_the_option_names(average: str) -> None:
    pairs = [pair(seed) for seed in range(12)]
    sums = np.array([slow(*one) for one in pairs]).astype(float)
    kept = sums[:, 0, 1] > 0
    each = sums[kept, :, 0] / sums[kept, :, 1]
    total = sums.sum(0)
    wanted = total[:, 0] / total[:, 1] if average == "dataset" else each.mean(0)
    found = scored(*pairs, average=average).compute()
    assert found["nuclei_ap"] == pytest.approx(wanted[:-1].mean(), abs=1e-9)
    assert [found[f"nuclei_ap{p}"] for p in PERCENT] == pytest.approx(wanted[:-1], abs=1e-9)
    assert found["aji"] == pytest.approx(wanted[-1], abs=1e-9)


@pytest.mark.parametrize("average", ["dataset", "image"])
def test_parts_merged_are_the_whole_in_any_order(average: str) -> None:
    pairs = [pair(seed) for seed in range(9)]
    whole = scored(*pairs, average=average).compute()
    parts = [scored(*pairs[i::3], average=average) for i in (2, 0, 1)]
    merged = pickle.loads(pickle.dumps(parts[0]))
    for part in parts[1:]:
        merged.merge(part)
    assert merged.compute() == whole


def test_an_iou_of_exactly_a_half_does_not_pass() -> None:
    truth, found = np.zeros((2, 4, 8), np.int32)
    truth[0] = found[0, :4] = 1
    assert scored((annotation(found), annotation(truth))).sums[0].tolist() == [0, 2]
    found[0, 4] = 1
    assert scored((annotation(found), annotation(truth))).sums[:3].tolist() == [[1, 1], [1, 1], [1, 1]]
    assert scored((annotation(found), annotation(truth))).sums[3].tolist() == [0, 2]  # 0.625 is less than 0.65


def test_a_threshold_that_binary_fractions_miss_is_exact() -> None:
    """11 of 20 pixels are 0.55: as floats 11 / 20 > 0.55 is false only by luck."""
    truth = np.ones((4, 5), np.int32)
    found = np.zeros((4, 5), np.int32)
    found.flat[:11] = 1
    assert scored((annotation(found), annotation(truth))).sums[:2].tolist() == [[1, 1], [0, 2]]


def test_images_without_truth_or_prediction() -> None:
    nothing, something = np.zeros((5, 6), np.int32), np.eye(5, 6, dtype=np.int32)
    assert set(scored((annotation(nothing), annotation(nothing))).compute().values()) == {None}
    assert set(scored((annotation(something), annotation(nothing))).compute().values()) == {0.0}
    assert set(scored((annotation(nothing), annotation(something))).compute().values()) == {0.0}
    assert set(scored((annotation(something), annotation(something))).compute().values()) == {1.0}
    both = [(annotation(nothing), annotation(nothing)), (annotation(something), annotation(something))]
    assert set(scored(*both, average="image").compute().values()) == {1.0}


def test_what_lies_on_left_out_pixels_is_not_held_against_it() -> None:
    truth, found = np.zeros((2, 4, 8), np.int32)
    truth[:, :4], found[:, :4] = 1, 1
    found[:, 4:] = 2
    ignore = torch.zeros(4, 8, dtype=torch.bool)
    ignore[:, 4:6] = True
    half = annotation(truth, ignore=ignore)
    assert scored((annotation(found), half)).compute()["nuclei_ap"] == 1
    ignore[0, 4] = False
    assert scored((annotation(found), half)).sums[0].tolist() == [1, 2]
    crowd = annotation(truth, crowd=torch.tensor([True]))
    assert scored((annotation(np.minimum(found, 1)), crowd)).compute()["nuclei_ap"] is None


def test_two_thousand_instances_are_counted() -> None:
    ids = np.kron(np.arange(1, 2001).reshape(40, 50), np.ones((8, 8), int)).astype(np.int32)
    found = np.where(np.roll(ids, 1, 1) == ids, ids, 0)
    sums = scored((annotation(found), annotation(ids))).sums
    assert sums[0].tolist() == [2000, 2000]  # each has 7 of 8 columns, 0.875
    assert sums[8].tolist() == [0, 4000]


def test_an_unknown_average_or_a_task_without_instances_is_refused() -> None:
    with pytest.raises(UserError, match=r"metric\.nuclei\.average: images; did you mean image"):
        Nuclei(INFO, average="images")
    with pytest.raises(UserError, match="metric=nuclei needs instances, which this task does not predict"):
        scored((Annotation((2, 2)), annotation(np.ones((2, 2)))))
