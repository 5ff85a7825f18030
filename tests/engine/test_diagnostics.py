"""Diagnostics score the trained model, if and only if `probes` is set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from densepred.cli import compose
from densepred.engine.amp import Precision
from densepred.engine.diagnostics import probe
from densepred.jobs import evaluation, parts, training
from densepred.ops.score.checkerboard import checkerboard
from densepred.ops.score.shift_equivariance import shift_equivariance
from densepred.transform.pipeline import Pipeline
from densepred.weights.file import load_model
from tests import running
from tests.conftest import composed


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    words = ("trainer.max_steps=3", "trainer.probes=true", "upsample=transposed", "dataset.size=[32,40]")
    assert training.work(running.job(folder, *words)) == 0
    return folder


def summary(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "summary.json").read_text())


def test_a_run_ends_with_the_scores_of_its_last_weights(run: Path) -> None:
    found = summary(run)["probe"]
    model, task, _ = load_model(run / "last.safetensors")
    data = parts.dataset(compose.settings(running_config()).dataset, "valid")
    images = torch.stack([data[i].image.float() / 255 for i in range(len(data))])
    with torch.no_grad():
        logits = model(images)["semantic"][-1]
        logits = logits - logits.mean(1, keepdim=True)
        shares = shift_equivariance(lambda x: model(x)["semantic"][-1].argmax(1), images)
    assert found["checkerboard"] == pytest.approx(checkerboard(logits).mean().item(), rel=1e-4)
    assert found["shift_equivariance"] == pytest.approx(shares.mean().item(), abs=1e-3)
    last = running.metrics(run)[-1]
    assert last == {"step": 3, "epoch": 1, **{f"probe/{name}": value for name, value in found.items()}}
    assert list(task.heads) == ["semantic"]


def running_config() -> Any:
    return composed("dataset.size=[32,40]", "dataset.counts={train: 10, valid: 3, test: 3}")


def test_an_evaluation_with_probes_gives_the_same_scores(run: Path, tmp_path: Path) -> None:
    words = (f"ckpt={run / 'last.safetensors'}", "dataset=shapes", "dataset.size=[32,40]", "data.workers=0")
    words += ("dataset.counts={train: 10, valid: 3, test: 3}",)
    for name, probes in (("with", True), ("without", False)):
        settings = compose.settings(composed(*words, f"probes={str(probes).lower()}", name="eval"))
        assert evaluation.work(evaluation.EvaluationJob(settings, tmp_path / name)) == 0
    scores = {
        name: json.loads((tmp_path / name / "metrics.json").read_text())["metrics"] for name in ("with", "without")
    }
    probed = {f"probe/{name}": pytest.approx(value, rel=1e-4) for name, value in summary(run)["probe"].items()}
    assert scores["with"] == {**scores["without"], **probed}
    assert not any(name.startswith("probe") for name in scores["without"])


def test_a_run_without_probes_computes_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "probe", lambda *_: pytest.fail("probed"))
    assert running.train(tmp_path, "trainer.max_steps=1") == 0
    assert "probe" not in summary(tmp_path)


def test_images_too_small_to_shift_give_no_share(run: Path) -> None:
    model, task, _ = load_model(run)
    settings = compose.settings(composed("dataset.size=[2,3]", "data.workers=0", "dataset.counts={valid: 2}"))
    data = parts.dataset(settings.dataset, "valid")
    loader = parts.evaluation_loader(data, Pipeline([], ()), task.codec, settings.data, torch.device("cpu"))
    device = torch.device("cpu")
    scores = probe(model, task, loader, device, Precision("fp32", device))
    assert scores["shift_equivariance"] is None
    assert scores["checkerboard"] is not None
