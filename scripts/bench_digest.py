"""Cost of digests in files of weights: writing and reading with and without them, alternating, medians.

Run: `python scripts/bench_digest.py [MEGABYTES]` (100 by default).
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from alternate import report

from densepred.weights.file import read_tensors, write_tensors

ROUNDS = 9


def seconds(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def copied(path: Path) -> list[torch.Tensor]:
    """Read a file and copy its tensors, as a model does."""
    return [value.clone() for value in read_tensors(path).values()]


def main() -> None:
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    tensors = {f"layer_{i}": torch.randn(megabytes * 2**20 // 40) for i in range(10)}
    times: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        plain, digested = (Path(folder) / f"{name}.safetensors" for name in ("plain", "digested"))
        for _ in range(ROUNDS):
            for name, path, metadata in (("plain", plain, None), ("digested", digested, {})):
                times.setdefault(f"write {name}", []).append(
                    seconds(lambda p=path, m=metadata: write_tensors(p, tensors, m))
                )
                times.setdefault(f"read {name}", []).append(seconds(lambda p=path: copied(p)))
    for act in ("write", "read"):
        before, after = (statistics.median(times[f"{act} {name}"]) for name in ("plain", "digested"))
        print(f"{act:5} {megabytes} MB: {before * 1e3:.0f} ms without, {after * 1e3:.0f} ms with")
        report(f"weights of {megabytes} MB, {act} with digests / without", after, before)


if __name__ == "__main__":
    main()
