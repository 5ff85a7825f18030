"""Ensembles of runs, and maps of their uncertainty, against means and entropies taken by hand."""

from __future__ import annotations

import json
import math
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image

from densepred import eval, predict, predictor
from densepred.engine import ensemble, temperature
from densepred.errors import Notice, UserError
from densepred.jobs import evaluation, training
from densepred.results.files import entropy_map
from densepred.settings import EvalSettings
from densepred.weights.file import save_weights
from tests import running
from tests.conftest import composed
from tests.dataset.files import write

PIXELS = np.random.default_rng(0).integers(0, 256, (21, 30, 3), np.uint8)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("runs")
    kinds = {"a": ("seed=1",), "b": ("seed=2", "model.align_corners=true")}
    for name, words in kinds.items():
        running.train(folder / name, "trainer.max_steps=2", *words)
    return [str(folder / name) for name in kinds]


def test_an_ensemble_averages_probabilities(runs: list[str]) -> None:
    alone = [predictor.load(run)(PIXELS, probabilities=True).need("probabilities").double() for run in runs]
    both = predictor.load(runs)(PIXELS, probabilities=True)
    mean = (alone[0] + alone[1]) / 2
    assert not torch.allclose(alone[0], alone[1], atol=1e-3)
    torch.testing.assert_close(both.need("probabilities").double(), mean, rtol=0, atol=1e-5)
    assert torch.equal(both.need("semantic").long(), mean.argmax(0))


def test_a_line_names_a_member_without_a_temperature_beside_one_that_has_it(runs: list[str], tmp_path: Path) -> None:
    for run in runs:
        shutil.copytree(run, tmp_path / Path(run).name)
    copies = [tmp_path / Path(run).name for run in runs]
    temperature.store(copies[1] / "best.safetensors", {"temperature": {"semantic": 2.0}})
    with pytest.warns(Notice, match=r"ckpt: .*a/best.safetensors has no temperature, as other members have"):
        both = predictor.load([str(copy) for copy in copies])(PIXELS, probabilities=True)
    plain = [predictor.load(run)(PIXELS, probabilities=True).need("probabilities").double() for run in runs]
    flat = plain[1] ** 0.5  # softmax(z / 2) is the root of p, normalised
    torch.testing.assert_close(
        both.need("probabilities").double(), (plain[0] + flat / flat.sum(0)) / 2, rtol=0, atol=1e-5
    )


def test_one_run_in_a_list_is_that_run(runs: list[str]) -> None:
    assert torch.equal(
        predictor.load(runs[:1])(PIXELS).need("semantic"), predictor.load(runs[0])(PIXELS).need("semantic")
    )


def test_runs_that_differ_in_classes_or_transforms_are_refused(runs: list[str], tmp_path: Path) -> None:
    model, _, header = ensemble.load(runs[0])
    changed = {**header, "info": {**header["info"], "classes": list(reversed(header["info"]["classes"]))}}
    save_weights(tmp_path / "other.safetensors", model.state_dict(), changed)
    with pytest.raises(UserError, match=r"ckpt: classes of .*a.* and .*other.safetensors differ: .*; average runs of"):
        ensemble.load([runs[0], str(tmp_path / "other.safetensors")])
    windowed = {**header, "info": {**header["info"], "window": [40.0, 400.0]}}
    save_weights(tmp_path / "window.safetensors", model.state_dict(), windowed)
    with pytest.raises(UserError, match=r"ckpt: window of .* differs: None and \(40.0, 400.0\)"):
        ensemble.load([runs[0], str(tmp_path / "window.safetensors")])
    cropped = {**header, "transform": [{"_target_": "densepred.transform.crop.Crop", "size": [8, 8]}]}
    save_weights(tmp_path / "third.safetensors", model.state_dict(), cropped)
    with pytest.raises(UserError, match=r"ckpt: transform of .* differs"):
        ensemble.load([runs[0], str(tmp_path / "third.safetensors")])
    with pytest.raises(UserError, match="give a run, or several as"):
        ensemble.load([])


def test_runs_with_limbs_in_another_order_are_refused(tmp_path: Path) -> None:
    small = ("encoder=plain", "encoder.widths=[4,8,8,8]", "model.width=8", "model.features=[8]", "model.first_hidden=8")
    data = ("dataset=shapes", "dataset.size=[32,32]", "dataset.counts={train: 2, valid: 1, test: 1}")
    words = ("task=openpose", *small, *data, "trainer.max_steps=1", "trainer.pictures=0", "logger=csv")
    assert training.work(running.bare_job(tmp_path / "a", *words)) == 0
    model, _, header = ensemble.load(str(tmp_path / "a"))
    limbs = header["info"]["limbs"]
    info = {**header["info"], "limbs": [*limbs[1:], limbs[0]]}  # equal channels, other limbs
    save_weights(tmp_path / "b.safetensors", model.state_dict(), {**header, "info": info})
    with pytest.raises(UserError, match=r"ckpt: names of head paf of .* differ: \('head to neck x'"):
        ensemble.load([str(tmp_path / "a"), str(tmp_path / "b.safetensors")])


def test_evaluation_scores_the_ensemble(runs: list[str], tmp_path: Path) -> None:
    node: Any = OmegaConf.to_container(composed("dataset=shapes", *running.TINY[2:4]).dataset, resolve=True)
    settings = EvalSettings(ckpt=runs, dataset=node)
    settings.data.workers = 0
    assert evaluation.work(evaluation.EvaluationJob(settings, tmp_path)) == 0
    found = json.loads((tmp_path / "metrics.json").read_text())
    assert found["checkpoint"] == [f"{run}/best.safetensors" for run in runs]
    assert 0 <= found["metrics"]["miou"] <= 1
    words = eval.dataset_of_checkpoint([f"ckpt=[{runs[0]},{runs[1]}]"])
    assert words == eval.dataset_of_checkpoint([f"ckpt={runs[0]}"])


def test_uncertainty_is_the_normalised_entropy(runs: list[str], tmp_path: Path) -> None:
    write(tmp_path / "in/a.png", PIXELS)
    words = (f"ckpt=[{runs[0]},{runs[1]}]", f"input={tmp_path / 'in'}", f"output={tmp_path / 'out'}")
    with warnings.catch_warnings():
        warnings.simplefilter("error", Notice)  # what was written is not told as missing
        assert predict.predict(composed(*words, "uncertainty=true", "probabilities=true", name="predict")) == 0
    (tmp_path / "out/probabilities/a.npy").unlink()
    again = (*words, "uncertainty=true", "overwrite=true")
    with pytest.warns(Notice, match="former predictions are replaced"):
        assert predict.predict(composed(*again, name="predict")) == 0
    assert not (tmp_path / "out/probabilities/a.npy").exists()
    stored = np.asarray(Image.open(tmp_path / "out/uncertainty/a.png"))
    assert stored.dtype == np.uint16
    share = predictor.load(runs)(PIXELS, probabilities=True).need("probabilities").double().numpy()
    expected = -(share * np.log(np.maximum(share, 1e-300))).sum(0) / math.log(len(share))
    assert np.abs(stored / 65535 - expected).max() < 1e-4


def test_equal_probabilities_have_the_largest_entropy() -> None:
    share = torch.tensor([[0.25, 1.0, 0.5], [0.25, 0.0, 0.5], [0.25, 0.0, 0.0], [0.25, 0.0, 0.0]])[:, None]
    assert entropy_map(share).tolist() == [[65535, 0, 32768]]
