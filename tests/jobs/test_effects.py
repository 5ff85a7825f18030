"""Notices of settings that the number of steps or the model leaves without effect."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from densepred.cli import compose
from densepred.encoder.plain import Plain
from densepred.jobs import effects, parts
from densepred.ops.loss import banded, fused
from tests import running
from tests.conftest import composed


def notices(folder: Path, *words: str) -> list[str]:
    assert running.train(folder, *words) == 0
    return [line for line in (folder / "train.log").read_text().splitlines() if line.startswith("warning: ")]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ("trainer.max_minutes=0.001", "scheduler.warmup=0.1"),
            "warmup=0.1: has no effect: it is a fraction",
        ),
        (("trainer.max_steps=2", "scheduler.warmup=2"), "scheduler.warmup=2: as long as the run of 2 steps or longer"),
        (("trainer.max_steps=2", "trainer.patience=2"), "trainer.patience=2: has no effect: the run has 1 validation;"),
        (
            ("trainer.max_steps=2", "trainer.fused_loss=false"),
            "trainer.fused_loss: has no effect: its kernels run on CUDA",
        ),
        (
            ("trainer.max_steps=1", "trainer.freeze=[encoder]", "optimizer.groups={encoder: {lr: 0.3}}"),
            "optimizer.groups.encoder: has no effect: trainer.freeze keeps this part as it is; remove one",
        ),
        (("trainer.max_steps=1", "trainer.freeze=[encoder]", "optimizer.groups={decoder: {lr: 0.3}}"), None),
        (("trainer.max_steps=3", "scheduler.warmup=2"), None),
        (("trainer.max_steps=3", "scheduler.warmup=0.5", "trainer.patience=1", "trainer.valid_every=0.4"), None),
    ],
)
def test_lengths_that_the_run_does_not_reach(tmp_path: Path, words: tuple[str, ...], told: str | None) -> None:
    found = notices(tmp_path, *words)
    assert len(found) == (told is not None)
    assert told is None or told in found[0]


def test_a_patience_that_was_not_typed_is_no_warning(tmp_path: Path) -> None:
    job = running.job(tmp_path, "trainer.max_steps=2", "trainer.patience=10")
    kept = [word for word in job.overrides if not word.startswith("trainer.patience")]
    assert running.training.work(replace(job, overrides=kept)) == 0
    log = (tmp_path / "train.log").read_text()
    assert "trainer.patience=" not in log


def test_a_run_without_validations_before_its_end_tells_it_at_its_start(tmp_path: Path) -> None:
    assert running.train(tmp_path, "trainer.max_steps=4", "trainer.valid_every=2") == 0
    line = "per epoch; validation at the end alone (trainer.valid_every=2, in epochs)"
    assert line in (tmp_path / "train.log").read_text()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("data.batch_size=64",), "1 batch of 2 (all; data.batch_size=64) per epoch"),
        (("data.batch_size=1",), "2 batches of 1 per epoch"),
    ],
)
def test_the_start_tells_of_a_batch_larger_than_the_data(tmp_path: Path, words: tuple[str, ...], told: str) -> None:
    small = ("dataset.counts={train: 2, valid: 1, test: 1}", "dataset.size=[32,32]", "trainer.pictures=0")
    assert running.train(tmp_path, "trainer.max_steps=1", *small, *words) == 0
    assert told in (tmp_path / "train.log").read_text()


def test_typed_statistics_win_over_those_of_pretrained_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Plain, "mean", (0.5, 0.5, 0.5))
    monkeypatch.setattr(Plain, "std", (0.2, 0.2, 0.2))
    from tests.dataset import folder_tree

    for split in ("train", "val"):
        folder_tree.tree(tmp_path / "data", split)
    words = ("dataset=folder", f"dataset.root={tmp_path / 'data'}", "trainer.max_steps=1", "data.batch_size=2")
    job = running.bare_job(
        tmp_path / "run", "encoder.widths=[4,8]", *words, "dataset.mean=[0.1,0.2,0.3]", "dataset.std=[0.2,0.2,0.2]"
    )
    assert running.training.work(job) == 0
    found = [line for line in (tmp_path / "run/train.log").read_text().splitlines() if "replaces" in line]
    assert len(found) == 1
    assert "dataset.mean=[0.1, 0.2, 0.3]: typed, so it replaces [0.5, 0.5, 0.5]" in found[0]
    weights = running.weights(tmp_path / "run")
    assert torch.equal(weights["mean"].flatten(), torch.tensor([0.1, 0.2, 0.3]))


@pytest.mark.parametrize(
    ("option", "provides", "told"),
    [
        ("pose", ("keypoints", "boxes"), "this task trains on crops around single instances"),
        ("autoencoder", (), "the dataset has neither class maps nor objects"),
        ("autoencoder", ("semantic",), None),
    ],
)
def test_a_share_of_crops_with_objects_that_cannot_act(
    option: str, provides: tuple[str, ...], told: str | None
) -> None:
    settings = compose.settings(composed(f"task={option}", "data.foreground=0.5"))
    task = parts.build(settings.task, None, "task", info=parts.dataset(settings.dataset, "train").info)
    found = list(effects.of_crops(settings, task, provides))
    assert found == ([] if told is None else [f"data.foreground=0.5: has no effect: {told}"])
    settings.data.foreground = 0.0
    assert list(effects.of_crops(settings, task, provides)) == []


def test_lengths_that_a_model_does_not_keep_above_0(tmp_path: Path) -> None:
    words = ("task=detection_center", "encoder=plain", "encoder.widths=[4,4,4]", "trainer.max_steps=1")
    small = ("dataset.counts={train: 2, valid: 1, test: 1}", "dataset.size=[32,32]", "trainer.pictures=0")
    for model, told in (("fcn", True), ("encoder_decoder", False)):
        more = ("model.stride=4",) if model == "fcn" else ("decoder=fpn", "decoder.width=8")
        job = running.bare_job(tmp_path / model, *words, *small, f"model={model}", *more)
        assert running.training.work(job) == 0
        assert ("head size holds lengths" in (tmp_path / model / "train.log").read_text()) == told


def test_kernels_of_losses_that_cannot_be_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(effects, "_on_cuda", lambda model: True)
    monkeypatch.setattr(fused, "installed", lambda: False)
    (told,) = notices(tmp_path / "1", "trainer.max_steps=1")
    assert "trainer.fused_loss=true: has no effect: Triton cannot be imported" in told
    assert notices(tmp_path / "2", "trainer.max_steps=1", "trainer.fused_loss=false") == []


def test_the_default_on_a_cuda_device_tells_of_the_faster_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def told(folder: Path, *words: str) -> bool:
        assert running.train(folder, "trainer.max_steps=1", *words) == 0
        return "trainer=gpu trains without both" in (folder / "train.log").read_text()

    assert not told(tmp_path / "cpu")
    monkeypatch.setattr(effects, "_on_cuda", lambda model: True)
    assert told(tmp_path / "default")
    assert not told(tmp_path / "typed", "trainer.deterministic=false")


@pytest.mark.parametrize("kernels", [True, False])
def test_fused_loss_reaches_every_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kernels: bool) -> None:
    asked = list[bool]()
    sums = banded.sums

    def noted(*arguments: Any) -> torch.Tensor:
        if len(arguments[1]) > 1:  # a task tries its losses on one empty pixel first
            asked.append(arguments[-1])
        return sums(*arguments)

    monkeypatch.setattr(banded, "sums", noted)
    assert running.train(tmp_path, "trainer.max_steps=1", f"trainer.fused_loss={str(kernels).lower()}") == 0
    assert set(asked) == {kernels}
