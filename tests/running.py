"""Whole training runs inside the test's process, small enough for seconds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig  # noqa: F401 - registers Hydra's own resolvers
from safetensors.torch import load_file

from densepred.cli import compose
from densepred.jobs import training
from densepred.rundir import provenance, variables
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


def _key(word: str) -> str:
    return word.partition("=")[0]
