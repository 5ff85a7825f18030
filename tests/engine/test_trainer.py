"""The training loop: steps, ends of a run, and resuming bit for bit."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

from densepred.engine import trainer
from densepred.errors import UserError
from densepred.jobs import resuming, training
from densepred.rundir import pruning
from tests import cases, running


def stop_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Send this process SIGTERM in the middle of optimizer step `step`."""
    original = trainer.Trainer._backward

    def backward(self, batches):
        if self.progress.step == step:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(self, batches)

    monkeypatch.setattr(trainer.Trainer, "_backward", backward)


def assert_equal_runs(a: Path, b: Path) -> None:
    assert running.differences(a, b) == []


@pytest.mark.parametrize(
    "extra",
    [
        ("trainer.ema=0.9", "encoder.dropout=0.5", "trainer.log_every=3"),
        ("data.workers=2",),
        pytest.param(("trainer.accumulate=2", "optimizer=sgd"), marks=pytest.mark.slow),
        pytest.param(("trainer.precision=fp16",), marks=pytest.mark.slow),
    ],
    ids=["ema and dropout", "workers", "accumulate", "fp16"],
)
def test_a_stopped_run_resumes_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extra: tuple[str, ...]
) -> None:
    options = ("trainer.max_steps=7", *extra)
    assert running.train(tmp_path / "whole", *options) == 0
    with monkeypatch.context() as patch:
        stop_at(patch, 3)  # in the middle of the second epoch of three batches
        assert running.train(tmp_path / "parts", *options) == resuming.STOPPED
    assert running.metrics(tmp_path / "parts")[-1]["step"] < 7
    assert running.train(tmp_path / "parts", *options, f"trainer.resume={tmp_path / 'parts'}") == 0
    assert_equal_runs(tmp_path / "whole", tmp_path / "parts")


def test_one_seed_gives_one_run(tmp_path: Path) -> None:
    for name in ("first", "second"):
        assert running.train(tmp_path / name, "trainer.max_steps=3", "encoder.dropout=0.2") == 0
    assert_equal_runs(tmp_path / "first", tmp_path / "second")


def test_each_step_stands_once_in_the_event_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        stop_at(patch, 4)
        running.train(tmp_path, "trainer.max_steps=6")
    checkpoints = sorted((tmp_path / "checkpoints").iterdir(), key=lambda path: int(path.name))
    for path in checkpoints[1:]:  # as if the last checkpoint had been lost, after its steps were logged
        (path / "manifest.json").unlink()
    running.train(tmp_path, "trainer.max_steps=6", f"trainer.resume={tmp_path}")
    steps = [
        event.step
        for file in sorted((tmp_path / "tensorboard").iterdir())
        for event in EventFileLoader(str(file)).Load()
        for value in event.summary.value
        if value.tag == "train/loss/total"
    ]
    assert steps == [1, 2, 3, 4, 5, 6]


def test_a_resumed_run_refuses_other_settings_by_name(tmp_path: Path) -> None:
    running.train(tmp_path, "trainer.max_steps=2")
    with pytest.raises(
        UserError, match=r"trainer.max_steps: the run began with 2 and would go on with 4.*trainer.allow"
    ):
        running.train(tmp_path, "trainer.max_steps=4", f"trainer.resume={tmp_path}")
    allowed = ("trainer.max_steps=4", f"trainer.resume={tmp_path}", "trainer.allow=[trainer.max_steps]")
    assert running.train(tmp_path, *allowed) == 0
    assert [line["step"] for line in running.metrics(tmp_path) if "train/lr" in line] == [1, 2, 3, 4]


def poison(monkeypatch: pytest.MonkeyPatch, bad: set[int]) -> None:
    """Make the images of some steps infinite."""
    original = trainer.Trainer._backward

    def backward(self, batches):
        if self.progress.step in bad:
            for batch in batches:
                batch.image = torch.full(batch.image.shape, torch.inf)
        return original(self, batches)

    monkeypatch.setattr(trainer.Trainer, "_backward", backward)


def test_a_step_that_is_not_finite_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("trainer.ema=0.5", "scheduler=constant")
    assert running.train(tmp_path / "one", "trainer.max_steps=1", *words) == 0
    poison(monkeypatch, {1, 2})
    assert running.train(tmp_path, "trainer.max_steps=3", *words) == 0
    one, three = running.weights(tmp_path / "one"), running.weights(tmp_path)
    assert all(torch.equal(three[name], value) for name, value in one.items())
    assert {int(value) for name, value in three.items() if name.endswith("num_batches_tracked")} == {1}
    assert running.metrics(tmp_path)[-2]["train/skipped"] == 2
    assert "not finite" in (tmp_path / "train.log").read_text()


def test_a_run_that_stays_not_finite_stops_with_its_last_good_weights(tmp_path, monkeypatch) -> None:
    """After one step more than may be skipped; what is saved until then is finite in every tensor."""
    words = ("scheduler=constant", "trainer.ema=0.5", "optimizer=sgd")
    assert running.train(tmp_path / "good", "trainer.max_steps=2", *words) == 0
    poison(monkeypatch, set(range(2, 100)))
    run = tmp_path / "run"
    code = running.train(run, "trainer.max_steps=20", "trainer.max_skipped=3", "trainer.valid_every=1", *words)
    assert code == training.NON_FINITE
    good, last = running.weights(tmp_path / "good"), running.weights(run)
    assert all(torch.equal(last[name], value) for name, value in good.items())
    files = list(run.rglob("*.safetensors"))
    assert {path.name for path in files} >= {"best.safetensors", "last.safetensors", "weights.safetensors"}
    assert all(value.isfinite().all() for path in files for value in load_file(path).values())
    skipped = re.findall(r"step (\d+): loss or gradient not finite, step skipped; samples: \S", log(run))
    assert [int(step) for step in skipped] == [3, 4, 5, 6]


def log(run: Path) -> str:
    return (run / "train.log").read_text(encoding="utf-8")


def test_a_kill_costs_no_more_work_than_the_interval_between_checkpoints(tmp_path, monkeypatch) -> None:
    """Steps of four minutes, in epochs of ten: the step in which ten minutes end is finished."""
    minutes, saved = [0.0], list[int]()
    backward, save = trainer.Trainer._backward, trainer.Trainer._save

    def slow(self, batches):
        minutes[0] += 4
        return backward(self, batches)

    def noted(self, due):
        saved.append(self.progress.step)
        save(self, due)

    monkeypatch.setattr(trainer, "time", SimpleNamespace(monotonic=lambda: 60 * minutes[0]))
    monkeypatch.setattr(trainer.Trainer, "_backward", slow)
    monkeypatch.setattr(trainer.Trainer, "_save", noted)
    assert running.train(tmp_path, "dataset.counts={train: 40, valid: 3, test: 1}", "trainer.epochs=2") == 0
    assert saved == [3, 6, 9, 10, 13, 16, 19, 20]


def test_frozen_parts_keep_their_weights_and_running_statistics(tmp_path: Path) -> None:
    running.train(tmp_path / "short", "trainer.max_steps=1", "trainer.freeze=[encoder]")
    running.train(tmp_path / "long", "trainer.max_steps=3", "trainer.freeze=[encoder]")
    short, long = running.weights(tmp_path / "short"), running.weights(tmp_path / "long")
    for name, value in short.items():
        assert torch.equal(value, long[name]) == (name.startswith("encoder.") or name in ("mean", "std")), name


def test_patience_ends_a_run_that_no_longer_improves(tmp_path: Path) -> None:
    running.train(tmp_path, "trainer.epochs=20", "trainer.patience=2", "optimizer.lr=0")
    validations = [line for line in running.metrics(tmp_path) if "valid/miou" in line]
    assert len(validations) == 3


def test_minutes_alone_end_a_run_at_a_constant_rate(tmp_path: Path) -> None:
    running.train(tmp_path, "trainer.max_minutes=0.03")
    rates = {line["train/lr"] for line in running.metrics(tmp_path) if "train/lr" in line}
    assert len(rates) == 1


def test_the_rate_in_the_log_is_that_of_the_optimizer_whatever_parts_have(tmp_path: Path) -> None:
    running.train(
        tmp_path,
        "trainer.max_steps=2",
        "scheduler=constant",
        "optimizer.lr=0.01",
        "optimizer.groups={encoder: {lr: 0.1}}",
    )
    assert [line["train/lr"] for line in running.metrics(tmp_path) if "train/lr" in line] == [0.01, 0.01]


def test_the_summary_names_best_and_last(tmp_path: Path) -> None:
    running.train(tmp_path, "trainer.max_steps=3")
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["last"]["step"] == 3
    assert summary["best"]["miou"] >= summary["last"]["miou"]
    assert summary["parameters"] > 100


def test_a_run_overfits_four_scenes(tmp_path: Path) -> None:
    options = ("dataset.counts={train: 4, valid: 4, test: 1}", "transform=none", "encoder.widths=[16,32]")
    running.train(tmp_path, *options, "trainer.max_steps=120", "optimizer.lr=0.01", "trainer.valid_every=1000")
    losses = [line["train/loss/total"] for line in running.metrics(tmp_path) if "train/loss/total" in line]
    assert losses[-1] < 0.1 * losses[0]


def test_a_resumed_run_that_is_complete_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    running.train(tmp_path, "trainer.max_steps=1")
    assert "is complete" not in capsys.readouterr().out
    written = (tmp_path / "metrics.jsonl").read_bytes()
    assert running.train(tmp_path, "trainer.max_steps=1", f"trainer.resume={tmp_path}") == 0
    assert "the run is complete at step 1: to go on, type" in capsys.readouterr().out
    assert (tmp_path / "metrics.jsonl").read_bytes() == written


@pytest.mark.parametrize("model", cases.few(["unet", "pspnet", "deeplabv3"], ["pspnet"]))
def test_one_image_left_for_the_last_batch_trains(tmp_path: Path, model: str) -> None:
    words = (f"model={model}", "encoder=plain", "encoder.widths=[4,8]", "dataset.counts={train: 5, valid: 1, test: 1}")
    width = () if model == "unet" else ("decoder.width=8",)
    assert running.train(tmp_path, *words, *width, "trainer.epochs=1") == 0
    assert [line["step"] for line in running.metrics(tmp_path) if "train/lr" in line] == [1, 2]
    assert all(value.isfinite().all() for value in running.weights(tmp_path).values())


def test_a_step_too_large_for_fp16_halves_the_scale_and_changes_no_weight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = {}
    for steps in (1, 2):
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**40)
        monkeypatch.setattr(training, "gradient_scaler", lambda name, device, scaler=scaler: scaler)
        folder = tmp_path / str(steps)
        assert running.train(folder, "trainer.precision=fp16", f"trainer.max_steps={steps}") == 0
        state = json.loads((folder / "checkpoints" / str(steps) / "state.json").read_text())
        assert state["scaler"]["scale"] == 2.0 ** (40 - steps)
        weights[steps] = running.weights(folder)
    assert all(torch.equal(weights[2][name], value) for name, value in weights[1].items())


@pytest.mark.slow
def test_steps_that_calibrate_fp16_are_no_sign_of_divergence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scale far too large is halved in each of the first steps; their losses are finite."""
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**30)
    monkeypatch.setattr(training, "gradient_scaler", lambda name, device: scaler)
    options = ("trainer.precision=fp16", "trainer.max_skipped=0", "trainer.max_steps=30", "trainer.valid_every=10")
    assert running.train(tmp_path, *options) == 0
    assert 0 < running.metrics(tmp_path)[-2]["train/skipped"] < 30
    assert "gradient too large for fp16, scale lowered" in (tmp_path / "train.log").read_text()


def test_a_run_that_a_search_prunes_validates_and_ends_with_0(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    pruning.ask(tmp_path / "run")
    assert running.train(tmp_path / "run", "trainer.max_steps=5") == 0
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["last"]["step"] < 5
    assert "the search pruned this trial" in (tmp_path / "run" / "train.log").read_text()
