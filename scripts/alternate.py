"""Medians of several sides that do the same, in turn, in one process, and the lines that `bench_all.py` reads."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping


def medians(
    sides: Mapping[str, Callable[[], object]], rounds: int, clock: Callable[[], float] = time.process_time
) -> dict[str, float]:
    """Return the median seconds of each side. Processor time is the default: other work on the machine does not add."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for act in sides.values():
        act()  # nothing is loaded or allocated for the first time below
    for _ in range(rounds):
        for name, act in sides.items():
            began = clock()
            act()
            times[name].append(clock() - began)
    return {name: statistics.median(values) for name, values in times.items()}


def report(name: str, ours: float, theirs: float) -> None:
    """Print a ratio: our cost by theirs, below 1 if ours is lower."""
    print(f"ratio {name} {ours / theirs:.4f}", flush=True)
