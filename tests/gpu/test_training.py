"""Training on a CUDA device: every task, resuming, precisions, memory, and the numbers of the CPU."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

from densepred import distributed, optimizer
from densepred.build.instantiate import build
from densepred.cli import compose
from densepred.engine import trainer
from densepred.jobs import evaluation, resuming, training
from densepred.rundir import state
from densepred.types import Batch
from tests import running
from tests.conftest import REPOSITORY, composed
from tests.engine.test_device import DEFERRED, ON_DEVICE, PLAIN, RUN, SMALL, TASKS

CPU = torch.device("cpu")
TIMM = ("encoder=timm", "encoder.name=mobilenetv3_small_050")


def train(folder: Path, *words: str) -> list[float]:
    """Train in this process; return the loss of each step."""
    assert training.work(running.bare_job(folder, *_replaced(words), "trainer.pictures=1")) == 0
    return losses(folder)


def _replaced(words: tuple[str, ...]) -> list[str]:
    """Return the overrides of a small run with others in their place."""
    kept = [word for word in RUN if not any(word.split("=")[0] == other.split("=")[0] for other in words)]
    return [*kept, *words]


def losses(folder: Path) -> list[float]:
    return [line["train/loss/total"] for line in running.metrics(folder) if "train/loss/total" in line]


def on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "device", lambda: CPU)
    monkeypatch.setattr(distributed, "join", lambda *_, **__: CPU)


def evaluated(folder: Path, output: Path) -> dict[str, Any]:
    cfg = composed(f"ckpt={folder}", *SMALL[:2], "data.workers=0", name="eval")
    job = evaluation.EvaluationJob(compose.settings(cfg), output)
    assert evaluation.work(job) == 0
    return json.loads((output / "metrics.json").read_text())["metrics"]


@pytest.fixture(autouse=True)
def exact_convolutions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compute convolutions of float32 with all digits, so that numbers can be compared with those of the CPU."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


@pytest.mark.parametrize("name", TASKS)
def test_every_task_has_the_losses_and_scores_of_the_cpu(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = (*TASKS[name], "trainer.log_every=1")
    found = train(tmp_path / "gpu", *words)
    scores = evaluated(tmp_path / "gpu", tmp_path / "scores-gpu")
    on_the_cpu(monkeypatch)
    expected = train(tmp_path / "cpu", *words)
    assert found == pytest.approx(expected, rel=1e-2)  # products of the network are TF32 on the device
    assert found[0] == pytest.approx(expected[0], rel=2e-3)
    others = evaluated(tmp_path / "gpu", tmp_path / "scores-cpu")
    assert scores.keys() == others.keys()
    for key, value in others.items():
        assert (scores[key] is None) == (value is None)
        assert value is None or scores[key] == pytest.approx(value, rel=2e-2, abs=2e-2), key


@pytest.mark.parametrize("name", ["semantic", "pose", "panoptic"])
@pytest.mark.parametrize("extra", [(), ("trainer.channels_last=true",), ("trainer.precision=bf16",)], ids=str)
def test_a_stopped_run_resumes_bit_for_bit(
    name: str, extra: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = (*TASKS[name], *extra, "trainer.max_steps=6", "trainer.log_every=1")
    train(tmp_path / "whole", *words)
    backward = trainer.Trainer._backward

    def stopping(self: trainer.Trainer, batches: Any) -> Any:
        if self.progress.step == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return backward(self, batches)

    with monkeypatch.context() as patch:
        patch.setattr(trainer.Trainer, "_backward", stopping)
        job = running.bare_job(tmp_path / "parts", *_replaced(words), "trainer.pictures=1")
        assert training.work(job) == resuming.STOPPED
    train(tmp_path / "parts", *words, f"trainer.resume={tmp_path / 'parts'}")
    first, second = running.weights(tmp_path / "whole"), running.weights(tmp_path / "parts")
    assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize(
    "extra",
    ["trainer.precision=bf16", "trainer.precision=fp16", "trainer.channels_last=true", "trainer.compile=true"],
)
def test_other_ways_to_compute_give_nearly_the_same_losses(extra: str, tmp_path: Path) -> None:
    words = (*PLAIN, "trainer.log_every=1", "trainer.max_steps=4")
    expected = train(tmp_path / "plain", *words)
    found = train(tmp_path / "other", *words, extra)
    assert all(map(math.isfinite, found))
    assert found == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd"])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
def test_updates_in_one_pass_are_those_of_lists(
    name: str, layout: torch.memory_format, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the scale of fp16, gradients of another layout, and a state of the other way, as of former runs."""
    node, found = composed(f"optimizer={name}").optimizer, []
    for fused in ({}, optimizer.FUSED):
        monkeypatch.setattr(optimizer, "FUSED", fused)
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 4, 1)).cuda().to(memory_format=layout)
        steps = optimizer.optimizer_of(net, build(OmegaConf.to_container(node), None, "optimizer"))
        scaler = torch.amp.GradScaler("cuda", init_scale=256.0)
        for number in range(4):
            scaler.scale(torch.ones((), device="cuda"))  # makes its scale
            for parameter in net.parameters():
                parameter.grad = 256 * torch.randn(parameter.shape, device="cuda")  # contiguous
            scaler.unscale_(steps)
            scaler.step(steps)
            scaler.update()
            if number == 1:
                kept = {i: {k: v.cpu() for k, v in slots.items()} for i, slots in steps.state_dict()["state"].items()}
                steps.load_state_dict({"state": kept, "param_groups": steps.state_dict()["param_groups"]})
                state._restride_slots(steps)
        assert steps.param_groups[0]["fused"] is (True if fused else None)
        found.append([value.detach().cpu() for value in net.parameters()])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_a_step_waits_once_for_the_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step, waits = trainer.Trainer._step, []

    def counted(self: trainer.Trainer, batches: Any) -> None:
        torch.cuda.set_sync_debug_mode("warn")
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            step(self, batches)
        torch.cuda.set_sync_debug_mode("default")
        waits.append(sum("synchroniz" in str(one.message) for one in seen))

    monkeypatch.setattr(trainer.Trainer, "_step", counted)
    train(tmp_path, *PLAIN, "trainer.max_steps=4")
    assert waits[-1] == 1


def test_memory_does_not_grow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step, held = trainer.Trainer._step, []

    def measured(self: trainer.Trainer, batches: Any) -> None:
        step(self, batches)
        held.append(torch.cuda.memory_allocated())

    monkeypatch.setattr(trainer.Trainer, "_step", measured)
    train(tmp_path, *PLAIN, "trainer.max_steps=12", "trainer.valid_every=1")
    assert max(held[6:]) <= max(held[2:6])


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
@pytest.mark.parametrize(
    ("model", "way"),
    [(PLAIN, ()), (("encoder=timm", "encoder.name=mobilenetv3_small_050"), ()), (PLAIN, ("trainer.shard=true",))],
    ids=["plain", "timm", "divided"],
)
def test_two_devices_train_as_one(model: tuple[str, ...], way: tuple[str, ...], tmp_path: Path) -> None:
    words = [*RUN, *model, "trainer.log_every=1", "data.workers=0"]
    exact = {**os.environ, "NVIDIA_TF32_OVERRIDE": "0"}  # half a batch may take other kernels, which TF32 shows
    for devices in (1, 2):
        folder = tmp_path / str(devices)
        last = (f"trainer.devices={devices}", f"hydra.run.dir={folder}", *(way if devices > 1 else ()))
        run = [sys.executable, "-m", "densepred.train", *words, *last]
        subprocess.run(run, cwd=REPOSITORY, env=exact, check=True)
    assert losses(tmp_path / "2") == pytest.approx(losses(tmp_path / "1"), rel=1e-3)


@pytest.mark.parametrize("name", DEFERRED)
def test_images_are_transformed_on_the_device_as_on_the_cpu(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images: list[list[torch.Tensor]] = []
    to = Batch.to

    def kept(self: Batch, device: torch.device) -> Batch:
        found = to(self, device)
        if not isinstance(self.image, torch.Tensor):
            images[-1].append(found.image.cpu())
        return found

    monkeypatch.setattr(Batch, "to", kept)
    for place in ("gpu", "cpu"):
        images.append([])
        if place == "cpu":
            on_the_cpu(monkeypatch)
        train(tmp_path / place, *DEFERRED[name], "trainer.max_steps=3", ON_DEVICE, "data.workers=2")
    assert len(images[0]) >= 3
    for one, other in zip(*images, strict=True):
        apart = (one - other).abs()
        assert float(apart.max()) <= 2.01 / 255  # a value may be rounded otherwise, and colours scale it
        assert float((apart > 1e-6).float().mean()) < 1e-2
