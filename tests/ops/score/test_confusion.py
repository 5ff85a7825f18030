"""Counts of (truth, prediction) against a loop, across chunks; ratios against sets of pixels."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from densepred.ops.score import confusion as module
from densepred.types import VOID, UserError


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


def slow(prediction: torch.Tensor, truth: torch.Tensor, classes: int) -> list[list[int]]:
    expected = [[0] * (classes + 1) for _ in range(classes)]
    for guess, label in zip(prediction.flatten().tolist(), truth.flatten().tolist(), strict=True):
        if label != VOID:
            expected[label][min(guess, classes)] += 1
    return expected


@pytest.mark.parametrize("way", [module._count_by_bytes, module._count_by_classes])
@pytest.mark.parametrize("classes", [1, 3, 19, 150, 254, 255])
def test_both_ways_count_every_byte_that_can_be_predicted(way: Callable[..., torch.Tensor], classes: int) -> None:
    """Predictions of no class are as VOID ones; ground truth is any class or VOID."""
    draw = torch.Generator().manual_seed(classes)
    prediction = torch.randint(0, 256, (61, 67), generator=draw, dtype=torch.uint8)
    truth = torch.randint(0, classes, (61, 67), generator=draw).to(torch.uint8)
    truth[torch.rand(61, 67, generator=draw) < 0.1] = VOID
    assert way(prediction, truth, classes).tolist() == slow(prediction, truth, classes)


@pytest.mark.parametrize("way", ["_count_by_bytes", "_count_by_classes"])
@pytest.mark.parametrize("label", [3, 4, 254])
def test_a_label_of_no_class_is_refused_by_either_way(monkeypatch: pytest.MonkeyPatch, way: str, label: int) -> None:
    """A label equal to the number of classes was once left out without a word, as if it were void."""
    monkeypatch.setattr(module, "_count_by_bytes", getattr(module, way))
    prediction, truth = maps(3, classes=3)
    truth[4:6, 2] = label
    with pytest.raises(
        UserError, match=rf"2 pixels hold labels .* such as {label} of 3 classes \(0 to 2\); .*label_map"
    ):
        module.confusion(prediction, truth, 3)


@pytest.mark.parametrize("bad", [-1, 256])
def test_integers_that_are_no_bytes_are_refused_in_both_maps(bad: int) -> None:
    prediction, truth = (one.long() for one in maps(4))
    assert torch.equal(module.confusion(prediction, truth, 4), module.confusion(*maps(4), 4))
    truth[0, 0] = prediction[0, 1] = bad
    with pytest.raises(UserError, match=f"prediction: holds {bad}"):
        module.confusion(prediction, maps(4)[1], 4)
    with pytest.raises(UserError, match=f"ground truth: holds {bad}"):
        module.confusion(maps(4)[0], truth, 4)


def test_no_pixels_make_an_empty_table() -> None:
    empty = torch.zeros(0, 5, dtype=torch.uint8)
    assert module.confusion(empty, empty, 2).tolist() == [[0, 0, 0], [0, 0, 0]]


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
