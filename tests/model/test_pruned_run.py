"""From training with supervised columns to an evaluation that leaves one out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from densepred.errors import UserError
from densepred.jobs import evaluation
from densepred.settings import EvalSettings
from tests import running

WORDS = (
    "model=unetplusplus",
    "encoder.widths=[4,6,8]",
    "model.deep_supervision=1",
    "task.stages={semantic: halving}",
    "trainer.max_steps=2",
)


def test_a_run_is_evaluated_by_the_column_that_is_left(tmp_path: Path) -> None:
    job = running.job(tmp_path, *WORDS)
    assert running.train(tmp_path, *WORDS) == 0
    losses = []
    for skip_stages in (0, 1):
        settings = EvalSettings(ckpt=str(tmp_path), dataset=job.settings.dataset, skip_stages=skip_stages)
        settings.data.workers = 0
        folder = tmp_path / f"pruned_{skip_stages}"
        assert evaluation.work(evaluation.EvaluationJob(settings, folder)) == 0
        losses.append(json.loads((folder / "metrics.json").read_text())["metrics"]["loss/total"])
    assert losses[0] == pytest.approx(running.metrics(tmp_path)[-1]["valid/loss/total"], rel=1e-5)
    assert losses[1] != losses[0]
    settings = EvalSettings(ckpt=str(tmp_path), dataset=job.settings.dataset, skip_stages=2)
    with pytest.raises(UserError, match=r"skip_stages=2: .*deep_supervision=1; give 0 to 1"):
        evaluation.work(evaluation.EvaluationJob(settings, tmp_path))
