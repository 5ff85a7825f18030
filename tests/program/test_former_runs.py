"""Runs of an earlier version, under keys that have other names now, resume, evaluate and predict.

`tests/former_runs` holds three small ones on drawn scenes, as that version left them, without TensorBoard files.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from densepred import predictor
from densepred.errors import Notice
from densepred.jobs import evaluation, training
from densepred.rundir import provenance
from densepred.settings import EvalSettings
from tests.conftest import REPOSITORY, composed
from tests.running import bare_job, metrics

FORMER = REPOSITORY / "tests" / "former_runs"
RENAMED = {
    "semantic": "rates -> atrous_rates",
    "detection": "most -> max_detections",
    "pca": "code -> latent_channels",
}


@pytest.fixture(params=RENAMED)
def former(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    return Path(shutil.copytree(FORMER / request.param, tmp_path / request.param))


@pytest.mark.parametrize("former", ["semantic"], indirect=True)
def test_a_former_run_resumes_to_the_numbers_that_it_reached(former: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reached = metrics(former)
    words = provenance.overrides(former)
    assert {"decoder.atrous_rates=[2,4]", "loss.include_absent=true"} <= set(words)
    assert "decoder.rates=[2,4] -> decoder.atrous_rates=[2,4]" in capsys.readouterr().err
    assert training.work(bare_job(former, *words, f"trainer.resume={former}")) == 0
    resumed = metrics(former)
    assert [line["step"] for line in resumed] == [line["step"] for line in reached]
    for old, new in zip(reached, resumed, strict=True):
        assert {name: new[name] for name in old} == pytest.approx(old, rel=1e-4, abs=1e-6)  # newer scores stand beside


def test_a_former_run_evaluates_to_its_recorded_score(former: Path, tmp_path: Path) -> None:
    recorded = metrics(former)
    with pytest.warns(Notice, match=RENAMED[former.name]):
        loaded = predictor.load(str(former))
    words = [word for word in provenance.overrides(former) if word.startswith("dataset.")]
    node: Any = OmegaConf.to_container(composed("dataset=shapes", *words).dataset, resolve=True)
    settings = EvalSettings(ckpt=str(former), dataset=node)
    settings.data.workers = 0
    assert evaluation.work(evaluation.EvaluationJob(settings, tmp_path / "evaluation")) == 0
    found = json.loads((tmp_path / "evaluation" / "metrics.json").read_text())["metrics"]
    monitor = loaded.task.monitor
    best = max(line[f"valid/{monitor}"] for line in recorded if line.get(f"valid/{monitor}") is not None)
    assert found[monitor] == pytest.approx(best, rel=1e-4, abs=1e-6)
