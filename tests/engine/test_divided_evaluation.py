"""Scores of processes that share the images: those of one process, for every number of images and each kind of task."""

from __future__ import annotations

import os
import socket
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.multiprocessing as mp

from densepred import distributed
from densepred.cli import compose
from densepred.engine.evaluate import any_size, compute, decode_and_score
from densepred.jobs import parts
from tests import meta
from tests.conftest import PATIENCE, composed
from tests.engine.test_device import TASKS

SIZES = range(1, 18)
NOISE = {"semantic": 1.0, "panoptic": 0.8, "detection_fcos": 0.3, "pose": 0.5}
"""Standard deviations of the noise in those of the outputs: enough for scores between 0 and 1."""
SMALL = ("dataset.size=[64,96]", "data.batch_size=2", "data.workers=0")
CPU = torch.device("cpu")

Scores = dict[str, float | None]


@cache
def prepared(name: str) -> tuple[Any, Any, Any, Any]:
    """Return the settings, the task, the model without its weights, and the transform."""
    counts = f"dataset.counts={{train: 1, valid: {max(SIZES)}, test: 1}}"
    cfg = compose.settings(composed(*TASKS[name], *SMALL, counts))
    info = parts.dataset(cfg.dataset, "valid").info
    return cfg, *meta.task_and_model(cfg, info), parts.pipeline(cfg.transform["valid"], info, "valid")


@any_size()
@torch.inference_mode()
def scores(name: str, samples: int) -> Scores:
    """Score perfect outputs with noise, which depends on the image alone, so that no score is 0 or 1 by itself."""
    cfg, task, model, transform = prepared(name)
    dataset = parts.dataset({**cfg.dataset, "counts": {"train": 1, "valid": samples, "test": 1}}, "valid")
    metrics = task.new_metrics()
    for batch in parts.evaluation_loader(dataset, transform, task.codec, cfg.data, CPU):
        outputs = {}
        for head, value in (task.codec.perfect_outputs(batch.targets) if batch.frames else {}).items():
            noise = [
                NOISE[name] * noisy(f"{head} {frame.id}", one) for frame, one in zip(batch.frames, value, strict=True)
            ]
            outputs[head] = [value + torch.stack(noise)]
        decode_and_score(task, metrics, outputs, batch, model.align_corners)
    return compute(metrics)


def noisy(name: str, like: torch.Tensor) -> torch.Tensor:
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    return like.float().std() * torch.randn(like.shape, generator=generator)


def everything() -> dict[str, list[Scores]]:
    return {name: [scores(name, samples) for samples in SIZES] for name in NOISE}


@cache
def of_one() -> dict[str, list[Scores]]:
    return everything()


def work(rank: int, world: int, port: int, path: str) -> None:
    os.environ.update(RANK=str(rank), WORLD_SIZE=str(world), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    distributed.join(timeout_seconds=PATIENCE)
    found = everything()
    if distributed.is_main():
        torch.save(found, path)
    distributed.leave()


@pytest.mark.slow
@pytest.mark.parametrize("world", [2, 3])
def test_scores_of_any_number_of_images_and_processes_are_those_of_one(tmp_path: Path, world: int) -> None:
    for name in NOISE:
        prepared(name)  # once for all processes
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.start_processes(work, args=(world, port, str(tmp_path / "found")), nprocs=world, start_method="fork")
    found: dict[str, Any] = torch.load(tmp_path / "found", weights_only=True)
    for name, expected in of_one().items():
        assert any(value is not None and 0.01 < value < 0.99 for value in expected[-1].values()), name
        for samples, (one, theirs) in enumerate(zip(expected, found[name], strict=True), 1):
            assert theirs.keys() == one.keys()
            for key, value in one.items():
                assert theirs[key] == (value if value is None else pytest.approx(value, rel=1e-12)), (
                    name,
                    samples,
                    key,
                )
    assert found["semantic"] == of_one()["semantic"]  # made of integers
