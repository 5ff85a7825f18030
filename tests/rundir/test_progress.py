"""The counters of a run and their line on the terminal."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import torch

from densepred.errors import UserError
from densepred.rundir.progress import Meter, Progress


def test_the_line_names_both_losses_and_keeps_its_columns() -> None:
    progress = Progress("miou", "max", step=5, epoch=1)
    progress.update({"miou": 0.25, "loss/total": 1.5})
    first = progress.line({"miou": 0.25, "loss/total": 1.5}, None)
    second = progress.line({"miou": 0.00125, "loss/total": 12.25}, 0.75)
    counters = "epoch 1 step 5"
    assert " ".join(first.split()) == f"{counters} loss train - valid 1.5000 miou 0.2500 0:00 *"
    assert " ".join(second.split()) == f"{counters} loss train 0.7500 valid 12.2500 miou 0.00125 0:00 *"
    assert len(first) == len(second) <= 80


@pytest.mark.parametrize("value", [math.nan, math.inf, "0.9", None, True])
def test_a_damaged_best_score_is_dropped_with_a_sentence(value: Any) -> None:
    stored = Progress("miou", "max", step=5, best={"step": 4, "miou": 0.5}).to_json()
    progress = Progress("miou", "max")
    notes = progress.restore({**stored, "best": {"step": 4, "miou": value}})
    assert [note.startswith("the best miou so far is") for note in notes] == [True]
    assert progress.best == {}
    assert progress.update({"miou": 0.1}), "the next validation is the best"
    assert Progress("miou", "max").restore(stored) == []


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None])
@pytest.mark.parametrize("mode", ["max", "min"])
def test_a_score_that_is_not_finite_is_never_best(value: float | None, mode: str) -> None:
    progress = Progress("miou", mode)
    assert not progress.update({"miou": value})
    assert progress.update({"miou": 0.5})
    assert not progress.update({"miou": value})
    assert progress.best["miou"] == 0.5


def test_best_scores_that_are_no_mapping_are_refused() -> None:
    with pytest.raises(UserError, match=r"progress\.best"):
        Progress("miou", "max").restore({"best": "0.9"})


def test_the_loss_of_a_line_is_the_mean_since_the_line_before() -> None:
    """However often the log is read in between; a line without a step since has none."""
    meter = Meter()
    for value in (4.0, 2.0):
        meter.add({"total": torch.tensor(value)}, 1)
    assert meter.loss() == 3.0
    assert meter.loss() is None
    meter.add({"total": torch.tensor(1.0)}, 1)
    assert meter.read()[0] == {"total": pytest.approx(7 / 3)}
    meter.add({"total": torch.tensor(3.0)}, 1)
    assert meter.loss() == 2.0


def test_the_loss_of_a_line_is_kept_by_a_checkpoint_after_a_log_entry() -> None:
    """The checkpoint of the last step comes after the entry that empties the other sums."""
    meter, resumed = Meter(), Meter()
    for value in (4.0, 2.0):
        meter.add({"total": torch.tensor(value)}, 1)
    meter.read()
    sums, counts = meter.state()
    resumed.restore(sums, json.loads(json.dumps(counts)))
    assert resumed.loss() == 3.0
    older = Meter()
    older.restore({"total": torch.tensor(4.0)}, {"steps": 2, "images": 2})
    assert older.loss() == 2.0


def test_the_loss_of_a_line_goes_back_as_far_as_the_checkpoint() -> None:
    meter, resumed = Meter(), Meter()
    meter.add({"total": torch.tensor(4.0)}, 1)
    resumed.restore(*meter.state())
    resumed.add({"total": torch.tensor(2.0)}, 1)
    assert resumed.loss() == 3.0
