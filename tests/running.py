"""Whole training runs inside the test's process, small enough for seconds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig  # noqa: F401 - registers Hydra's own resolvers
from safetensors.torch import load_file

from densepred.cli import compose
from densepred.jobs import training
from densepred.rundir import provenance, variables
from densepred.weights.header import read_header
from tests.conftest import composed

TINY = (
    "model=unet",
    "encoder.widths=[4,8]",
    "dataset.size=[24,32]",
    "dataset.counts={train: 10, valid: 3, test: 3}",
    "data.batch_size=4",
    "data.workers=0",
    "trainer.log_every=1",
    "trainer.pictures=0",
)
CHOICES = {"task": "semantic", "model": "unet", "dataset": "shapes"}


def job(folder: Path, *overrides: str) -> training.TrainingJob:
    """A small run on drawn scenes; later overrides win."""
    return bare_job(folder, *(word for word in TINY if not any(_key(word) == _key(o) for o in overrides)), *overrides)


def bare_job(folder: Path, *overrides: str) -> training.TrainingJob:
    """A run with these overrides, drawn or not, without workers."""
    words = [*overrides, *(() if any(_key(o) == "data.workers" for o in overrides) else ("data.workers=0",))]
    cfg = composed(*words)
    folder.mkdir(parents=True, exist_ok=True)
    settings, written = compose.settings(cfg), provenance.as_written(cfg)
    return training.TrainingJob(settings, written, folder, CHOICES, set(), words, variables.behind(cfg))


def train(folder: Path, *overrides: str) -> int:
    return training.work(job(folder, *overrides))


def metrics(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def weights(folder: Path, name: str = "last") -> dict[str, Any]:
    return load_file(folder / f"{name}.safetensors")


def differences(a: Path, b: Path) -> list[str]:
    """Return what two runs differ in: metrics, published weights, and what the newest checkpoint holds to go on from.

    Published weights may be averages, so that they tell nothing of those that are trained, nor of the moments.
    """
    steps = [max(int(path.name) for path in (run / "checkpoints").iterdir()) for run in (a, b)]
    published = [[read_header(run / f"{name}.safetensors")["step"] for name in ("best", "last")] for run in (a, b)]
    if steps[0] != steps[1] or published[0] != published[1]:
        return [f"steps {steps[0]}, {published[0]} and {steps[1]}, {published[1]}"]
    newest = f"checkpoints/{steps[0]}"
    files = ("best.safetensors", "last.safetensors", f"{newest}/weights.safetensors", f"{newest}/state.safetensors")
    found = []
    for file in files:
        one, other = load_file(a / file), load_file(b / file)
        same = {name for name in one.keys() & other.keys() if torch.equal(one[name], other[name])}
        found += [f"{file}: {name}" for name in sorted((one.keys() | other.keys()) - same)]
    if (a / "metrics.jsonl").read_bytes() != (b / "metrics.jsonl").read_bytes():
        found.append("metrics.jsonl")
    return found


def _key(word: str) -> str:
    return word.partition("=")[0]
