"""Run the benchmarks that print ratios, compare them with a stored table, and print the machine's own limits.

The table, scripts/ratios.json, holds the ratio of each line, our cost by that of the other side. A ratio above twice
its entry (`--tolerance`) is slower than before: it is named, and the exit code is 1. `--store` writes the table. Ratios
on maps of blocks differ by a factor of up to 1.7 between runs. Those of wall time (predict, checkpoint, digests) need
free processors. `bench_growth.py` shows how cost grows; other benchmarks of this folder run alone.

    python scripts/bench_all.py --minutes 20
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch

FOLDER = Path(__file__).parent
TABLE = FOLDER / "ratios.json"
BENCHMARKS: tuple[tuple[str, ...], ...] = (
    ("bench_confusion.py",),
    ("bench_coco.py",),
    ("bench_cache.py",),
    ("bench_jpeg.py",),
    ("bench_device_transforms.py", "--rounds", "3"),
    ("bench_loss.py", "--quick", "--threads", "1"),
    ("bench_digest.py",),
    ("bench_checkpoint.py",),
    ("bench_predict.py",),
)
"""In the order in which they run: what does not fit into the minutes is named and left out."""
GIVEN = {
    "camvid": ("bench_quality.py", "--speed", "--threads", "1", "--data"),
    "camvid_run": ("bench_run.py", "--rounds", "1", "--data"),
    "panoptic_deeplab": ("bench_panoptic.py", "--published"),
    "pytorch_openpose": ("bench_openpose.py", "--port"),
}
"""Benchmarks that need a folder, by the option of this script that gives it."""
LINE = re.compile(r"^ratio (.+) ([0-9.]+)$", re.MULTILINE)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument(
        "--tolerance", type=float, default=1.0, help="part of the stored ratio by which one may be above it"
    )
    parser.add_argument("--store", action="store_true", help="write the ratios that were measured into the table")
    for name, (script, *_) in GIVEN.items():
        parser.add_argument(f"--{name.replace('_', '-')}", metavar="DIR", help=f"the folder of {script}")
    args = parser.parse_args()
    print(limits(), flush=True)
    given = {name: getattr(args, name) for name in GIVEN}
    for name in [name for name, folder in given.items() if folder is None]:
        print(f"{GIVEN[name][0]} is left out: give --{name.replace('_', '-')} DIR", flush=True)
    more = [(*GIVEN[name], folder) for name, folder in given.items() if folder is not None]
    found, failed = measured([*BENCHMARKS, *more], time.monotonic() + 60 * args.minutes)
    stored = json.loads(TABLE.read_text(encoding="utf-8")) if TABLE.is_file() else {}
    for name, ratio in found.items():
        print(
            f"{name:60s} {ratio:8.4f}   stored {stored[name]:.4f}"
            if name in stored
            else f"{name:60s} {ratio:8.4f}   new"
        )
    if args.store:
        TABLE.write_text(json.dumps({**stored, **found}, indent=1) + "\n", encoding="utf-8")
    slow = slower(found, stored, args.tolerance)
    for name in slow:
        print(f"error: {name}: {found[name]:.4f}, stored {stored[name]:.4f}: slower than before", file=sys.stderr)
    return int(bool(slow or failed))


def measured(benchmarks: Sequence[Sequence[str]], end: float) -> tuple[dict[str, float], list[str]]:
    """Return the ratios by name, and the benchmarks that failed or ran out of time."""
    found: dict[str, float] = {}
    failed = []
    for script, *words in benchmarks:
        command = [sys.executable, str(FOLDER / script), *words]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1"}
        try:
            done = subprocess.run(
                command,
                stdout=subprocess.PIPE,
                text=True,
                check=True,
                env=environment,
                timeout=max(1, end - time.monotonic()),
            )
        except (subprocess.TimeoutExpired, subprocess.CalledProcessError) as error:
            print(f"error: {script}: {error}; its ratios are left out", file=sys.stderr)
            failed.append(script)
        else:
            found |= ratios(done.stdout)
    return found, failed


def ratios(text: str) -> dict[str, float]:
    """Read the lines of `alternate.report`."""
    return {name: float(value) for name, value in LINE.findall(text)}


def slower(found: dict[str, float], stored: dict[str, float], tolerance: float) -> list[str]:
    """List the names of ratios that are above their entry by more than the tolerance."""
    return [name for name, ratio in found.items() if name in stored and ratio > stored[name] * (1 + tolerance)]


def limits() -> str:
    """Measure a matrix product and a copy with one thread."""
    torch.set_num_threads(1)
    matrix, source = torch.randn(1024, 1024), torch.zeros(2**26, dtype=torch.uint8)
    target = torch.empty_like(source)
    product = best(lambda: matrix @ matrix)
    copy = best(lambda: target.copy_(source))
    return (
        f"one thread: {2 * 1024**3 / product / 1e9:.0f} GFLOP/s in a product, {2**26 / copy / 1e9:.1f} GB/s in a copy"
    )


def best(act: object, rounds: int = 5) -> float:
    assert callable(act)
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        act()
        times.append(time.perf_counter() - began)
    return min(times)


if __name__ == "__main__":
    sys.exit(main())
