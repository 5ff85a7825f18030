"""Time a checkpoint of 100 MB against one safetensors file with fsync: alternating, medians, and their ratio.

    python scripts/bench_checkpoint.py [FOLDER]

FOLDER, the current one by default, decides the disk. The baseline is safetensors' `save_file`, as nothing here writes
pickles.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file

from densepred import atomic
from densepred.rundir.checkpoints import Checkpoints

MEGABYTES, ROUNDS = 100, 9


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".") / f"bench_checkpoint.{os.getpid()}"
    folder.mkdir(parents=True)
    count = MEGABYTES * 2**20 // 4 // 60
    weights = {f"w{index}": torch.randn(count) for index in range(20)}
    tensors = {f"s{index}": torch.randn(count) for index in range(40)}
    checkpoints = Checkpoints(folder / "checkpoints")
    plain, ours = list[float](), list[float]()
    try:
        for step in range(ROUNDS):
            plain.append(_timed(lambda: _plain(folder / "plain.safetensors", {**weights, **tensors})))
            ours.append(_timed(lambda step=step: checkpoints.save(step, weights, tensors, {"step": step})))
    finally:
        shutil.rmtree(folder)
    first, second = statistics.median(plain), statistics.median(ours)
    print(f"save_file + fsync {first:.3f} s   checkpoint {second:.3f} s   ratio {second / first:.2f}")


def _plain(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    save_file(tensors, path)
    atomic.sync(path)


def _timed(act: Callable[[], object]) -> float:
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
