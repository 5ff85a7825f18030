"""Compare time and peak memory of losses on coarse logits: enlarged as a whole, and band by band.

Every measurement has a process of its own, plain and banded in turn, so that neither warms the machine for the other.
Memory is the peak of the process beyond its state before the loss.

    python scripts/bench_loss.py --quick
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from alternate import report

if TYPE_CHECKING:
    from torch import Tensor

SIZE = 512
LOSSES = ("ce", "focal", "dice")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--losses", nargs="+", choices=LOSSES, default=list(LOSSES))
    parser.add_argument("--classes", nargs="+", type=int, default=[19, 150])
    parser.add_argument("--strides", nargs="+", type=int, default=[4, 8, 16])
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3, help="processes per kind")
    parser.add_argument("--repeats", type=int, default=5, help="timed steps per process; their median counts")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="one round of K = 19, two steps each, batch 1")
    parser.add_argument("--one", nargs=4, metavar=("KIND", "LOSS", "K", "STRIDE"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.quick:
        args.classes, args.rounds, args.repeats, args.batch = [19], 1, 2, 1
    if args.one:
        kind, loss, classes, stride = args.one
        print(json.dumps(measure(kind, loss, int(classes), int(stride), args)))
        return
    table(args)


def table(args: argparse.Namespace) -> None:
    print(f"B = {args.batch}, {SIZE} x {SIZE}, {args.threads} threads; medians of {args.rounds} processes")
    print("loss     K stride |  plain ms banded ms  times | plain MB banded MB  times | loss differs by")
    for classes in args.classes:
        for loss in args.losses:
            for stride in args.strides:
                print(row(loss, classes, stride, args), flush=True)


def row(loss: str, classes: int, stride: int, args: argparse.Namespace) -> str:
    runs: dict[str, list[dict[str, float]]] = {"plain": [], "banded": []}
    for _ in range(args.rounds):
        for kind, results in runs.items():
            results.append(in_process(kind, loss, classes, stride, args))
    plain, banded = (
        {name: statistics.median(run[name] for run in results) for name in results[0]} for results in runs.values()
    )
    for what, unit in (("time", "ms"), ("memory", "mb")):
        report(f"{loss} K={classes} stride {stride}, {what} / torch", banded[unit], max(plain[unit], 0.1))
    return (
        f"{loss:6s} {classes:3d} {stride:6d} "
        f"| {plain['ms']:9.1f} {banded['ms']:9.1f} {plain['ms'] / banded['ms']:6.2f} "
        f"| {plain['mb']:8.0f} {banded['mb']:9.0f} {plain['mb'] / max(banded['mb'], 0.1):6.1f} "
        f"| {abs(plain['loss'] - banded['loss']) / plain['loss']:.0e}"
    )


def in_process(kind: str, loss: str, classes: int, stride: int, args: argparse.Namespace) -> dict[str, float]:
    numbers = ["--batch", args.batch, "--repeats", args.repeats, "--threads", args.threads]
    command = [sys.executable, __file__, "--one", kind, loss, classes, stride, *numbers]
    output = subprocess.run([str(word) for word in command], check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(output)


def measure(kind: str, loss: str, classes: int, stride: int, args: argparse.Namespace) -> dict[str, float]:
    """Return the milliseconds of a forward and backward pass, the megabytes beyond the start, and the loss."""
    import torch

    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    run = step(kind, loss)
    warm = (torch.randn(1, classes, 8, 8, requires_grad=True), torch.zeros(1, 16, 16, dtype=torch.uint8))
    run(*warm).backward()
    # Draw smooth noise: neighbours are alike, as in the output of a network.
    seed = torch.randn(args.batch, classes, 16, 16) * 4
    side = SIZE // stride
    logits = torch.nn.functional.interpolate(seed, (side, side), mode="bicubic").requires_grad_()
    target = torch.randint(0, classes, (args.batch, SIZE, SIZE), dtype=torch.uint8)
    target[:, :20] = 255
    before = peak_megabytes()
    times, value = [], torch.zeros(())
    for _ in range(args.repeats):
        logits.grad = None
        start = time.perf_counter()
        value = run(logits, target)
        value.backward()
        times.append(time.perf_counter() - start)
    megabytes = peak_megabytes() - before
    return {"ms": 1000 * statistics.median(times), "mb": megabytes, "loss": value.item()}


def step(kind: str, name: str) -> Callable[[Tensor, Tensor], Tensor]:
    import torch.nn.functional as F

    from densepred.loss.ce import CrossEntropy
    from densepred.loss.dice import Dice
    from densepred.loss.focal import Focal
    from densepred.ops.loss import banded
    from densepred.ops.resize.resample import resize

    loss = {"ce": CrossEntropy, "focal": Focal, "dice": Dice}[name]()

    def by_torch(logits: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(
            F.interpolate(logits, target.shape[-2:], mode="bilinear"), target.long(), ignore_index=255
        )

    def plain(logits: Tensor, target: Tensor) -> Tensor:
        return loss(resize(logits, (target.shape[-2], target.shape[-1])), target)

    def in_bands(logits: Tensor, target: Tensor) -> Tensor:
        return loss.value(banded.sums(loss, logits, target))

    if kind == "banded":
        return in_bands
    return by_torch if name == "ce" else plain


def peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
