"""Scores by the size of objects, on maps with objects that are counted by hand."""

from __future__ import annotations

import pytest
import torch

from densepred.metric.object_size import ObjectSize
from densepred.types import VOID, Annotation, Info, UserError

INFO = Info(classes=("ground", "car"))


def scored(metric: ObjectSize, prediction: torch.Tensor, truth: torch.Tensor) -> ObjectSize:
    size = (truth.shape[0], truth.shape[1])
    metric.update([Annotation(size, semantic=prediction)], [Annotation(size, semantic=truth)])
    return metric


def drawn() -> tuple[torch.Tensor, torch.Tensor]:
    """Return a prediction that misses the small car, finds most of the large one, and invents one."""
    truth, guess = torch.zeros(20, 20, dtype=torch.uint8), torch.zeros(20, 20, dtype=torch.uint8)
    truth[1:3, 1:3] = 1  # side 2
    truth[5:11, 5:11] = 1  # side 6
    truth[10, 10] = VOID
    guess[5:11, 5:9] = 1  # 24 pixels, side 4.9, all right
    guess[15:17, 15:18] = 1  # 6 pixels, side 2.4, all wrong
    return guess, truth


def test_the_small_object_is_missed_and_the_large_one_found() -> None:
    found = scored(ObjectSize(INFO, [4, 10], include_background=False), *drawn()).compute()
    assert [found[f"size_objects/{part}"] for part in ("0-4", "4-10", "10-")] == [1, 1, 0]
    assert [found[f"size_found/{part}"] for part in ("0-4", "4-10", "10-")] == [0, 1, None]
    assert [found[f"size_recall/{part}"] for part in ("0-4", "4-10", "10-")] == [0, pytest.approx(24 / 35), None]
    assert [found[f"size_precision/{part}"] for part in ("0-4", "4-10", "10-")] == [0, 1, None]


def test_the_background_is_an_object_unless_it_is_left_out() -> None:
    found = scored(ObjectSize(INFO, [4, 10]), *drawn()).compute()
    assert (found["size_objects/10-"], found["size_objects/4-10"]) == (1, 1)


def test_images_and_processes_add_up() -> None:
    guess, truth = drawn()
    once = scored(scored(ObjectSize(INFO), guess, truth), guess.flip(0), truth)
    other = scored(ObjectSize(INFO), guess, truth)
    other.merge(scored(ObjectSize(INFO), guess.flip(0), truth))
    assert once.compute() == other.compute()


@pytest.mark.parametrize("edges", [[], [0, 4], [8, 4]])
def test_edges_that_do_not_rise_are_refused(edges: list[float]) -> None:
    with pytest.raises(UserError, match=r"metric\.object_size\.edges: .*; give rising sides in pixels"):
        ObjectSize(INFO, edges)
