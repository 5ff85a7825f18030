"""Time a checkpoint of 100 MB: how long training waits for it, and how long until it is on the disk.

    python scripts/bench_checkpoint.py [FOLDER]

FOLDER, the current one by default, decides the disk. Baselines are `torch.save` of the same tensors, without and with
fsync. All sides alternate; figures are medians. A save of densepred writes state and weights, publishes the weights a
second time for other programs, and hashes and syncs every file.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from alternate import report
from torch import nn

from densepred import atomic
from densepred.rundir.folder import Run
from densepred.rundir.log import Log
from densepred.rundir.progress import Progress
from densepred.rundir.state import TrainState

MEGABYTES, ROUNDS = 100, 9
WAYS = ("torch.save", "torch.save + fsync", "densepred: training waits", "densepred: on the disk")


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".") / f"bench_checkpoint.{os.getpid()}"
    folder.mkdir(parents=True)
    state = _state()
    run, plain = Run(folder, {"info": {}}, {}, Log(folder), 2), folder / "plain.pt"
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    try:
        for step in range(ROUNDS):
            state.progress.step = step
            parts = state.state_dict()
            tensors = {**parts["weights"], **parts["tensors"]}
            acts = partial(torch.save, tensors, plain), partial(_synced, tensors, plain), partial(run.save, state)
            for way, act in zip(WAYS, acts, strict=False):
                seconds[way].append(_timed(act))
            seconds["densepred: on the disk"].append(seconds["densepred: training waits"][-1] + _timed(run.wait))
    finally:
        run.writer.close()
        shutil.rmtree(folder)
    base = statistics.median(seconds["torch.save"])
    for way, found in seconds.items():
        print(f"{way:28} {statistics.median(found):.3f} s")
        if way.startswith("densepred"):
            report(f"checkpoint of {MEGABYTES} MB, {way} / torch.save", statistics.median(found), base)


def _state() -> TrainState:
    """Return a model of a third of MEGABYTES with the state of AdamW, which is the rest."""
    count = MEGABYTES * 2**20 // 4 // 60
    model = nn.ParameterDict({f"w{index}": nn.Parameter(torch.randn(count)) for index in range(20)})
    optimizer = torch.optim.AdamW(model.parameters())
    for value in model.parameters():
        value.grad = torch.randn_like(value)
    optimizer.step()
    return TrainState(model, Progress("loss", "min"), optimizer=optimizer)  # pyright: ignore[reportArgumentType]


def _synced(tensors: dict[str, torch.Tensor], path: Path) -> None:
    torch.save(tensors, path)
    atomic.sync(path)


def _timed(act: Callable[[], object]) -> float:
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
