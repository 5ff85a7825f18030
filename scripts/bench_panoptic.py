"""Compare the merging of panoptic segments with the published code of Panoptic-DeepLab.

Both start from the same class map, heat map and offsets of drawn things, with the same settings. The published code is
the folder of a checkout of github.com/bowenc0221/panoptic-deeplab; only its post-processing is loaded. Every
measurement has a process of its own, ours and theirs in turn. Besides wall time there is processor time, which other
work on the machine does not lengthen. Memory is the peak of a process beyond its state with the maps loaded (Linux).

    python scripts/bench_panoptic.py --published ../panoptic-deeplab
    python scripts/bench_panoptic.py --published ../panoptic-deeplab --centers 20 --noise 5 --threads 2 --rounds 5
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from alternate import report
from torch import Tensor

from densepred.codec.panoptic import Panoptic
from densepred.ops.heatmap.centers import peaks
from densepred.ops.regions.merge import merge
from densepred.types import VOID, Annotation, Info

INFO = Info(classes=tuple(f"class {i}" for i in range(19)), things=tuple(range(11, 19)))  # as Cityscapes
DIVISOR, STUFF_AREA, THRESHOLD, KERNEL, MOST = 1000, 2048, 0.1, 7, 200
SIDES = ("published", "ours")


def scene(count: int, size: tuple[int, int], noise: float) -> dict[str, Tensor]:
    """Draw ellipses on stripes of stuff: labels (H, W) uint8, heat (H, W) and offset (2, H, W), x and y."""
    random = np.random.default_rng(0)
    height, width = size
    labels = (np.arange(height)[:, None] * 11 // height).astype(np.uint8).repeat(width, 1)
    ids = np.zeros(size, np.int32)
    categories = random.integers(11, 19, count)
    rows, columns = int(np.sqrt(count / 2)) or 1, -(-count // (int(np.sqrt(count / 2)) or 1))
    for i in range(count):  # one per field of a grid, so that none is hidden
        middle = (i // columns + random.uniform(0.3, 0.7)) * height / rows, (i % columns + random.uniform(0.3, 0.7))
        y, x = middle[0], middle[1] * width / columns
        reach = random.uniform(0.15, 0.5, 2) * (height / rows, width / columns)
        top, left = max(0, int(y - reach[0])), max(0, int(x - reach[1]))
        v, u = np.ogrid[top : min(height, int(y + reach[0]) + 2), left : min(width, int(x + reach[1]) + 2)]
        inside = ((v - y) / reach[0]) ** 2 + ((u - x) / reach[1]) ** 2 < 1
        here = slice(top, top + inside.shape[0]), slice(left, left + inside.shape[1])
        labels[here][inside], ids[here][inside] = categories[i], i + 1
    truth = Annotation(
        size,
        semantic=torch.from_numpy(labels),
        instances=torch.from_numpy(ids),
        categories=torch.from_numpy(categories),
    )
    targets = Panoptic(INFO, quantised=True).encode(truth)
    spread = torch.randn(targets["offset"].shape, generator=torch.Generator().manual_seed(0)) * noise
    return {"labels": truth.semantic, "heat": targets["center"][0], "offset": targets["offset"] + spread}  # pyright: ignore


def published(folder: Path, maps: dict[str, Tensor]) -> Callable[[], Tensor]:
    """Load the published code, which takes int64 labels, maps in a batch of one, and offsets y and x."""
    package = folder / "segmentation" / "model" / "post_processing"
    if not (package / "__init__.py").is_file():
        raise SystemExit(f"{package} is not there; give --published the folder of a checkout of panoptic-deeplab")
    spec = importlib.util.spec_from_file_location(
        "post_processing", package / "__init__.py", submodule_search_locations=[str(package)]
    )
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    sys.modules["post_processing"] = module
    spec.loader.exec_module(module)
    labels, heat, offset = maps["labels"].long()[None], maps["heat"][None, None], maps["offset"].flip(0)[None]
    settings = {"threshold": THRESHOLD, "nms_kernel": KERNEL, "top_k": MOST}

    def run() -> Tensor:
        # The published code changes its heat map.
        found, _ = module.get_panoptic_segmentation(
            labels, heat.clone(), offset, list(INFO.things), DIVISOR, STUFF_AREA, VOID * DIVISOR, **settings
        )
        return found[0]

    return run


def ours(maps: dict[str, Tensor]) -> Callable[[], Tensor]:
    things = torch.zeros(VOID + 1, dtype=torch.bool)
    things[list(INFO.things)] = True

    def run() -> Tensor:
        found = peaks(maps["heat"], MOST, THRESHOLD, (KERNEL, KERNEL), None)
        segments = merge(maps["labels"], maps["offset"], found.points, things, 0, STUFF_AREA)
        return segments.semantic.long() * DIVISOR + segments.instances

    return run


def measure(args: argparse.Namespace) -> dict[str, float]:
    """Return the medians of wall and processor time in milliseconds, and the memory in MB, of one side.

    Reads the maps from `args.folder` and writes the segments to it.
    """
    maps = {name: torch.from_numpy(np.load(args.folder / f"{name}.npy")) for name in ("labels", "heat", "offset")}
    run = published(args.published, maps) if args.one == "published" else ours(maps)
    clock: list[float] = []
    processor: list[float] = []
    before = _held("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    found = torch.zeros(0)
    for _ in range(args.repeats):
        start = time.perf_counter(), time.process_time()
        found = run()
        clock.append((time.perf_counter() - start[0]) * 1e3)
        processor.append((time.process_time() - start[1]) * 1e3)
    np.save(args.folder / f"{args.one}.npy", found.numpy())
    return {"clock": statistics.median(clock), "cpu": statistics.median(processor), "mb": _held("VmHWM") - before}


def _held(what: str) -> float:
    """Return the memory of this process in MB: now (VmRSS) or at its peak (VmHWM)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(what)) / 1024


def differing(one: np.ndarray, two: np.ndarray) -> int:
    """Count the pixels in which two panoptic maps differ, for any numbering of the instances of a class."""
    _, a, sizes = np.unique(one, return_inverse=True, return_counts=True)
    pairs, counts = np.unique(np.stack([a.ravel(), two.ravel()]), axis=1, return_counts=True)
    segments = np.unique(one)
    same = segments[pairs[0]] // DIVISOR == pairs[1] // DIVISOR
    best = np.zeros(len(sizes), np.int64)
    np.maximum.at(best, pairs[0][same], counts[same])
    return int(one.size - best.sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--published", type=Path, required=True, help="folder of a checkout of panoptic-deeplab")
    parser.add_argument("--centers", type=int, default=100)
    parser.add_argument("--size", type=int, nargs=2, default=(1024, 2048), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument(
        "--noise", type=float, default=3.0, help="standard deviation of noise on the offsets, in pixels"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3, help="processes per side")
    parser.add_argument("--repeats", type=int, default=3, help="runs per process; their median counts")
    parser.add_argument("--one", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.one:
        print(json.dumps(measure(args)))
        return
    results: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    with tempfile.TemporaryDirectory() as folder:
        for name, value in scene(args.centers, tuple(args.size), args.noise).items():
            np.save(Path(folder) / f"{name}.npy", value.numpy())
        for _ in range(args.rounds):
            for side in SIDES:
                command = [sys.executable, *sys.argv, "--one", side, "--folder", folder]
                done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
                results[side].append(json.loads(done.stdout))
        maps = [np.load(Path(folder) / f"{side}.npy") for side in SIDES]
    print(f"{args.size[0]} x {args.size[1]}, {args.centers} centers, {args.threads} threads, noise {args.noise} pixels")
    medians = {s: {key: statistics.median(one[key] for one in runs) for key in runs[0]} for s, runs in results.items()}
    for side, values in medians.items():
        print(f"{side:>9}: {values['clock']:9.1f} ms, of processor {values['cpu']:9.1f} ms, {values['mb']:6.0f} MB")
    ratios = {key: medians["published"][key] / max(1, medians["ours"][key]) for key in medians["ours"]}
    print(
        f"{ratios['clock']:.0f} times faster on the clock, {ratios['cpu']:.0f} on the processor, "
        f"{ratios['mb']:.0f} times less memory"
    )
    for what, key in (("processor time", "cpu"), ("memory", "mb")):
        report(f"panoptic merging, {what} / published", medians["ours"][key], medians["published"][key])
    things = [len(np.unique(one[one % DIVISOR > 0])) for one in maps]
    print(
        f"instances: published {things[0]}, ours {things[1]}; pixels that differ: {differing(*maps)} of {maps[0].size}"
    )


if __name__ == "__main__":
    main()
