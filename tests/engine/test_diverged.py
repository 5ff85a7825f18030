"""A run with a validation loss that is not finite ends as a bad run, with files that any reader of JSON takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NoReturn

import pytest

from densepred.jobs import training
from densepred.rundir.progress import Progress
from tests import running


def refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


def test_a_learning_rate_that_is_too_high_ends_with_exit_code_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("optimizer.lr=1e6", "encoder.norm=none", "decoder.norm=none", "trainer.max_steps=2", "trainer.pictures=2")
    assert running.train(tmp_path, *words) == training.NON_FINITE
    for line in (tmp_path / "metrics.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=refuse)
    last = running.metrics(tmp_path)[-1]
    assert last["valid/loss/total"] is None
    assert isinstance(last["valid/miou"], float)
    summary = json.loads((tmp_path / "summary.json").read_text(), parse_constant=refuse)
    assert summary["best"] == {}
    assert not (tmp_path / "best.safetensors").exists()
    warned = capsys.readouterr().err
    assert "not finite in validation, written as null: loss/total" in warned
    assert "lower optimizer.lr" in warned


def test_the_best_weights_are_those_before() -> None:
    progress = Progress("miou", "max")
    assert progress.update({"miou": 0.2, "loss/total": 1.0})
    assert not progress.update({"miou": 0.9, "loss/total": None})
    assert progress.diverged
    assert progress.best["miou"] == 0.2
    assert progress.update({"miou": 0.3})  # a task without losses
    assert not progress.diverged
