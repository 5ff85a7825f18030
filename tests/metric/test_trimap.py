"""Scores in bands against bands drawn one window at a time."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from densepred.metric.confusion import Confusion
from densepred.metric.trimap import Trimap
from densepred.types import VOID, Annotation, Info, UserError
from tests.metric.test_boundary_iou import pair
from tests.reference import slow_boundary

INFO = Info(classes=("road", "tree", "car"))


def scored(*pairs: tuple[np.ndarray, np.ndarray], **options) -> Trimap:
    metric = Trimap(INFO, **options)
    for guess, truth in pairs:
        metric.update(*([Annotation(x.shape[:2], semantic=torch.from_numpy(x))] for x in (guess, truth)))
    return metric


@pytest.mark.parametrize("void", [False, True])
def test_it_equals_region_scores_of_the_pixels_in_the_band(void: bool) -> None:
    pairs = [pair(seed, shape) for seed, shape in enumerate([(37, 45), (20, 64)])]
    found = scored(*pairs, widths=[5, 2], void=void).compute()
    assert list(found) == [f"trimap_{s}/{w}" for w in (2, 5) for s in ("miou", "pixel_accuracy")]
    for width in (2, 5):
        metric = Confusion(INFO)
        for guess, truth in pairs:
            near = slow_boundary.band(truth, width, -1 if void else VOID)
            size = (truth.shape[0], truth.shape[1])
            kept = torch.from_numpy(np.where(near, truth, VOID).astype(np.uint8))
            metric.update([Annotation(size, semantic=torch.from_numpy(guess))], [Annotation(size, semantic=kept)])
        expected = metric.compute()
        assert found[f"trimap_miou/{width}"] == expected["miou"]
        assert found[f"trimap_pixel_accuracy/{width}"] == expected["pixel_accuracy"]


def test_a_truth_of_one_class_has_no_edge() -> None:
    flat = np.zeros((9, 9), np.uint8)
    assert set(scored((flat, flat)).compute().values()) == {None}


def test_parts_merge_to_the_whole() -> None:
    pairs = [pair(seed, (30, 40)) for seed in range(3)]
    whole, left, right = scored(*pairs), scored(*pairs[:1]), scored(*pairs[1:])
    left.merge(pickle.loads(pickle.dumps(right)))
    assert left.compute() == whole.compute()


@pytest.mark.parametrize("widths", [[], [0], [1.5], [True]])
def test_widths_that_are_no_lengths_are_refused(widths: list) -> None:
    with pytest.raises(UserError, match=r"metric\.trimap\.widths"):
        Trimap(INFO, widths)
