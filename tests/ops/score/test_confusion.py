"""Counts of (truth, prediction) against a loop, across chunks; ratios against sets of pixels."""

from __future__ import annotations

import math

import pytest
import torch

from densepred.ops.score import confusion as module
from densepred.types import VOID


def maps(seed: int, classes: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    prediction, truth = torch.randint(0, classes, (2, 13, 17), generator=draw, dtype=torch.uint8)
    truth[torch.rand(13, 17, generator=draw) < 0.2] = VOID
    prediction[torch.rand(13, 17, generator=draw) < 0.1] = VOID
    return prediction, truth


@pytest.mark.parametrize("chunk", [1, 64, 221, 2**18])
def test_pixels_are_counted_as_in_a_loop(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(module, "CHUNK", chunk)
    prediction, truth = maps(0)
    expected = [[0] * 5 for _ in range(4)]
    for guess, label in zip(prediction.flatten().tolist(), truth.flatten().tolist(), strict=True):
        if label != VOID:
            expected[label][4 if guess == VOID else guess] += 1
    assert module.confusion(prediction, truth, 4).tolist() == expected


def test_ratios_are_those_of_sets_of_pixels() -> None:
    prediction, truth = maps(1)
    truth[truth == 2] = VOID  # the class is only predicted
    prediction[prediction == 3] = VOID  # the class is only true
    found = module.per_class(module.confusion(prediction, truth, 5))
    known = truth != VOID
    for c in range(4):
        p, t = (prediction == c) & known, (truth == c) & known
        both, one = (p & t).sum().item(), (p | t).sum().item()
        assert found["iou"][c].item() == both / one
        assert found["dice"][c].item() == 2 * both / (p.sum() + t.sum()).item()
        assert found["precision"][c].item() == both / max(1, int(p.sum()))
        assert found["recall"][c].item() == both / max(1, int(t.sum()))
    assert all(math.isnan(values[4]) for values in found.values()), "a class that is nowhere has no score"


def test_accuracy_is_the_share_of_counted_pixels_and_undefined_without_one() -> None:
    prediction, truth = maps(2)
    known = truth != VOID
    expected = (prediction[known] == truth[known]).double().mean().item()
    assert module.pixel_accuracy(module.confusion(prediction, truth, 4)).item() == pytest.approx(expected)
    assert module.pixel_accuracy(torch.zeros(4, 5, dtype=torch.int64)).isnan()
