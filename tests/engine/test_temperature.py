"""Temperature scaling against closed forms, and its way from evaluation to prediction."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from densepred import predictor
from densepred.build.instantiate import build
from densepred.engine import ensemble, temperature
from densepred.errors import Notice, UserError
from densepred.jobs import evaluation
from densepred.settings import EvalSettings
from densepred.types import HeadSpec
from tests import running
from tests.conftest import composed

PIXELS = np.random.default_rng(0).integers(0, 256, (21, 30, 3), np.uint8)


def test_two_classes_have_a_closed_form() -> None:
    logits = torch.tensor([[3.0, 0.0]]).expand(100, 2).contiguous()
    labels = torch.tensor([0] * 80 + [1] * 20)
    assert temperature.fit(logits, labels) == pytest.approx(3 / math.log(0.8 / 0.2), rel=1e-5)


def test_the_fit_undoes_a_known_temperature() -> None:
    generator = torch.Generator().manual_seed(0)
    true = torch.randn(40_000, 5, generator=generator) * 2
    labels = torch.multinomial(true.softmax(1), 1, generator=generator)[:, 0]
    found = temperature.fit(true * 2.5, labels)
    assert found == pytest.approx(2.5, rel=0.02)
    least = temperature.nll(true * 2.5, labels, found)
    assert all(least <= temperature.nll(true * 2.5, labels, found * factor) for factor in (0.98, 1.0, 1.02))


def test_a_split_without_errors_meets_the_bound() -> None:
    assert temperature.fit(torch.tensor([[1.0, 0.0]]), torch.tensor([0])) == pytest.approx(temperature.LOWEST)


@pytest.mark.parametrize("count", [3, 2**24 + 4, 400_000_001])
def test_pixels_of_large_images_are_spread_from_the_first_to_the_last(count: int) -> None:
    found = temperature.spread(count, 3)
    assert found.tolist() == [0, (count - 1) // 2, count - 1]


def settings(run: Path, **options: Any) -> EvalSettings:
    node: Any = OmegaConf.to_container(composed("dataset=shapes", *running.TINY[2:4]).dataset, resolve=True)
    found = EvalSettings(ckpt=str(run), dataset={**node, "split": options.pop("split", "valid")}, **options)
    found.data.workers = 0
    return found


@pytest.mark.slow
def test_prediction_uses_the_stored_temperature(tmp_path: Path) -> None:
    run = tmp_path / "run"
    running.train(run, "trainer.max_steps=40")
    plain = predictor.load(run)(PIXELS, probabilities=True)
    with pytest.raises(UserError, match=r"not on test; type dataset\.split=valid"):
        evaluation.work(evaluation.EvaluationJob(settings(run, split="test", calibrate=True), tmp_path / "no"))
    assert evaluation.work(evaluation.EvaluationJob(settings(run, calibrate=True), tmp_path / "first")) == 0
    facts = json.loads((tmp_path / "first/metrics.json").read_text())["calibration"]
    stored = json.loads((run / "temperature.json").read_text())["best.safetensors"]
    value = stored["temperature"]["semantic"]
    assert facts["temperature"]["semantic"] == value
    assert facts["pixels"]["semantic"] == 3 * 24 * 32
    assert facts["nll_after"]["semantic"] < facts["nll_before"]["semantic"]

    with pytest.warns(Notice, match=rf"at temperature {value:.3f} \(head semantic\)"):
        scaled = predictor.load(run)(PIXELS, probabilities=True)
    power = plain.need("probabilities").double() ** (1 / value)  # softmax(z / T) is p^(1/T), normalised
    torch.testing.assert_close(scaled.need("probabilities").double(), power / power.sum(0), rtol=0, atol=1e-5)
    assert torch.equal(scaled.need("semantic"), plain.need("semantic"))

    # the evaluation at that temperature has the likelihood that the fit promised
    evaluation.work(evaluation.EvaluationJob(settings(run), tmp_path / "second"))
    second = json.loads((tmp_path / "second/metrics.json").read_text())
    loss, first = second["metrics"]["loss/semantic"], json.loads((tmp_path / "first/metrics.json").read_text())
    assert second["temperature"] == {"semantic": value}  # on which losses depend
    assert "temperature" not in first  # the fit scores the network as it is
    assert loss == pytest.approx(facts["nll_after"]["semantic"], rel=1e-3)

    other = json.loads((run / "temperature.json").read_text())
    other["best.safetensors"]["digest"] = "0" * 128
    (run / "temperature.json").write_text(json.dumps(other))
    with pytest.warns(Notice, match="is not used: it was fitted for other weights than best"):
        again = predictor.load(run)(PIXELS, probabilities=True)
    assert torch.equal(again.need("probabilities"), plain.need("probabilities"))
    (run / "temperature.json").write_text('{"best.safetensors": {"temperature": {"semantic": -1}}}')
    with pytest.raises(UserError, match=r"temperature.json: cannot be read \(ValueError\); remove it"):
        predictor.load(run)


def test_a_model_without_padding_is_scaled_once_in_both_passes() -> None:
    heads = {"semantic": HeadSpec(2, kind="classes")}
    node: Any = OmegaConf.to_container(composed("model=unet_first", "model.width=2", "model.depth=2"), resolve=True)
    model = build(node["model"], heads=heads, channels=1, mean=(0.5,), std=(0.5,)).eval()
    x = torch.rand(1, 1, 60, 60)
    valid = torch.rand(1, 1, model.fit(80), model.fit(80))
    before = model(x)["semantic"][-1], model.valid(valid)["semantic"][-1]
    temperature.scale(model, {"semantic": 2.0})
    after = model(x)["semantic"][-1], model.valid(valid)["semantic"][-1]
    for one, other in zip(before, after, strict=True):
        torch.testing.assert_close(other, one / 2)


def test_weights_of_another_name_keep_their_temperature_and_others_get_a_line(tmp_path: Path) -> None:
    running.train(tmp_path / "run", "encoder.widths=[2,4]", "trainer.max_steps=2")
    best, last = (tmp_path / "run" / f"{name}.safetensors" for name in ("best", "last"))
    temperature.store(best, {"temperature": {"semantic": 2.0}})
    copied = shutil.copy(best, tmp_path / "run" / "copy.safetensors")
    with pytest.warns(Notice, match="at temperature 2.000"):
        ensemble.load(copied)
    assert temperature.held(Path(copied)) == {"semantic": 2.0}
    other = tmp_path / "other"
    running.train(other, "encoder.widths=[2,4]", "trainer.max_steps=2", "seed=9")
    shutil.copy(other / "last.safetensors", last)
    with pytest.warns(Notice, match="is not used: it was fitted for other weights than last"):
        ensemble.load(str(last))


def test_a_line_names_a_temperature_of_the_last_stage_where_an_earlier_one_predicts(tmp_path: Path) -> None:
    words = ("model=unetplusplus", "model.deep_supervision=1", "encoder.widths=[2,4,4]", "trainer.max_steps=1")
    running.train(tmp_path / "run", *words)
    weights = tmp_path / "run" / "best.safetensors"
    temperature.store(weights, {"temperature": {"semantic": 2.0}})
    with pytest.warns(Notice, match="at temperature 2.000"):
        model, _, _ = ensemble.load(str(weights))
    model.skip_stages(0)
    with pytest.warns(Notice, match=r"skip_stages=1: .*temperature.json: was fitted for the last stage"):
        model.skip_stages(1)
    with pytest.raises(UserError, match="skip_stages=9"):
        model.skip_stages(9)
