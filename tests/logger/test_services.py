"""Loggers of other programs: without their packages a sentence, with them offline runs that are resumed."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pytest

from densepred import output
from densepred.engine.trainer import NonFinite
from densepred.errors import UserError
from densepred.jobs import training
from densepred.logger.mlflow import Mlflow
from densepred.logger.wandb import WeightsAndBiases
from densepred.process.stop import Stopped
from densepred.rundir import secrets
from tests import forked, running

SMALL = ("encoder.widths=[4,8]", "dataset.size=[16,16]", "dataset.counts={train: 4, valid: 2, test: 1}")
SMALL += ("data.workers=0", "data.batch_size=2", "trainer.max_steps=2", "trainer.pictures=1", "hydra.run.dir=run")
IMAGE = np.zeros((3, 4, 5), np.uint8)


@pytest.mark.parametrize(("name", "make"), [("wandb", WeightsAndBiases), ("mlflow", Mlflow)])
def test_a_missing_package_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, make: Any) -> None:
    monkeypatch.setitem(sys.modules, name, None)  # as if it were not installed
    with pytest.raises(UserError, match=rf"logger={name}: .* pip install 'densepred\[{name}\]'"):
        make(tmp_path, {})
    assert not list(tmp_path.iterdir())


def test_several_loggers_or_none(tmp_path: Path) -> None:
    code, _, err = forked.run("train", *SMALL, "logger=[tensorboard,csv]", folder=tmp_path)
    assert (code, err) == (0, "")
    assert (tmp_path / "run/metrics.csv").is_file()
    assert list((tmp_path / "run/tensorboard").iterdir())
    more = ("trainer.resume=run", "trainer.max_steps=3", "trainer.allow=[trainer.max_steps]", "logger=[]")
    before = (tmp_path / "run/metrics.csv").read_bytes()
    code, _, err = forked.run("train", *more, folder=tmp_path)
    assert (code, err) == (0, "")
    assert (tmp_path / "run/metrics.csv").read_bytes() == before
    lines = (tmp_path / "run/metrics.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["step"] == 3


def test_wandb_goes_on_under_its_id(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    ids = []
    for step in (1, 2):
        logger = WeightsAndBiases(tmp_path, {"trainer.epochs": 3}, mode="offline")
        logger.scalars({"train/loss": 0.5}, step, 0)
        logger.image("valid/sample_0", IMAGE, step)
        logger.close("finished")
        ids.append((tmp_path / "wandb_id.txt").read_text())
    assert ids[0] == ids[1]
    assert len(list((tmp_path / "wandb").glob(f"offline-run-*-{ids[0].strip()}"))) >= 1


def test_mlflow_goes_on_under_its_id(tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow")
    uri = f"sqlite:///{tmp_path / 'runs.db'}"
    config = {"trainer.epochs": 3, "dataset.splits": {"train": 0.8}, "weights.init": None, "long": "x" * 10_000}
    for step in (1, 2):
        logger = Mlflow(tmp_path, config, uri=uri)
        logger.scalars({"valid/iou/a, b": 0.25 * step}, step, 0)
        logger.close("finished")
    client = mlflow.MlflowClient(tracking_uri=uri)
    id = (tmp_path / "mlflow_id.txt").read_text().strip()
    history = client.get_metric_history(id, "valid/iou/a_ b")
    assert [(point.step, point.value) for point in history] == [(1, 0.25), (2, 0.5)]
    run = client.get_run(id)
    assert run.info.status == "FINISHED"
    assert run.data.params["trainer.epochs"] == "3"
    assert run.data.params["dataset.splits"] == '{"train": 0.8}'
    assert len(run.data.params["long"]) == 6000


@pytest.mark.parametrize(
    ("ended", "code", "state"), [("finished", 0, "FINISHED"), ("stopped", 75, "KILLED"), ("failed", 1, "FAILED")]
)
def test_programs_show_how_a_run_ended(tmp_path: Path, ended: str, code: int, state: str) -> None:
    """By the calls to their packages, which need not be installed; a stopped run is one that can go on."""
    run, client = MagicMock(), MagicMock()
    first, second = WeightsAndBiases.__new__(WeightsAndBiases), Mlflow.__new__(Mlflow)
    first.run, second.client, second.id = run, client, "7"
    for logger in (first, second):
        logger.close(ended)
    run.finish.assert_called_once_with(exit_code=code)
    assert run.mark_preempting.called == (ended == "stopped")
    client.set_terminated.assert_called_once_with("7", status=state)


@pytest.mark.parametrize(
    ("error", "ended"),
    [(None, "finished"), (Stopped("SIGINT"), "stopped"), (NonFinite("x"), "failed"), (OSError(), "failed")],
)
def test_loggers_get_how_a_run_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception | None, ended: str
) -> None:
    logger = MagicMock()

    def train(job: Any, built: Any, folder: Path, device: Any, log: Any, stop: Any, lock: Any) -> None:
        log.loggers = [logger]
        if error is not None:
            raise error

    monkeypatch.setattr(training, "_train", train)
    with contextlib.suppress(OSError):
        training.work(running.bare_job(tmp_path / "run"))
    logger.close.assert_called_once_with(ended)


def test_packages_see_no_secrets_in_the_words_of_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """They record sys.argv by themselves."""
    monkeypatch.setattr(output, "_secrets", set())
    output.keep_secret("pass1234word")
    words = ["densepred-train", "logger.mlflow.uri=http://u:pass1234word@host"]
    monkeypatch.setattr(sys, "argv", words)
    with secrets.hidden_in_arguments():
        assert sys.argv == ["densepred-train", "logger.mlflow.uri=http://u:<redacted>@host"]
    assert sys.argv is words
