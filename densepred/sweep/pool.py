"""Several jobs of a sweep at a time: a GPU for each, or a share of the processors."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from densepred.errors import UserError
from densepred.output import many
from densepred.process import processors
from densepred.process.stop import Stopped, ctrl_c_blocked, held

VISIBLE, THREADS = "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS"
HIP = "HIP_VISIBLE_DEVICES"
"""A variable of AMD's GPUs; where it is set, the one above counts for nothing there."""
PART = "MIG-"
"""The start of the names of parts of a GPU. A process sees the first of several alone, so torch counts one."""
EVERY = 0.1
"""Seconds between two looks at the jobs."""

Place = Mapping[str, str]
"""Environment variables of a job that give it its GPUs or threads."""


class Process(Protocol):
    """The side of a job that runs: a process of this machine, or a job of a cluster."""

    def poll(self) -> int | None: ...

    def wait(self) -> int: ...

    def send_signal(self, sig: int, /) -> None: ...


@dataclass
class Running:
    """A job that has begun, and what to do with its exit code, and with True if it was asked to end."""

    process: Process
    end: Callable[[int, bool], object]


def places(jobs: int, each: int, gpus: int, environment: Mapping[str, str] = os.environ) -> list[Place]:
    """Return the variables for `jobs` jobs of `each` devices at a time, on a machine with `gpus` visible GPUs.

    Raises UserError if there are GPUs, and fewer than the jobs take. Threads that are set already are not divided.
    """
    variables = {name: _named(environment.get(name, "")) for name in (VISIBLE, HIP) if name in {VISIBLE, *environment}}
    if each == 1 and all(name.startswith(PART) for name in variables[VISIBLE]):
        gpus = max(gpus, len(variables[VISIBLE]))
    if not gpus:
        count = max(1, processors.count() // (jobs * each))
        return [{THREADS: environment.get(THREADS, str(count))}] * jobs
    if jobs * each > gpus:
        needed = f"{jobs} jobs of {each} GPUs" if each > 1 else f"{jobs} jobs"
        raise UserError(
            f"sweep.parallel={jobs}: {needed} at a time, and {gpus} GPUs are visible; type "
            f"sweep.parallel={max(1, gpus // each)}, or set {VISIBLE}= to train on the CPU"
        )
    visible = {key: (names or [str(number) for number in range(gpus)])[:gpus] for key, names in variables.items()}
    return [
        {key: ",".join(names[job * each : (job + 1) * each]) for key, names in visible.items()} for job in range(jobs)
    ]


def _named(text: str) -> list[str]:
    """Return the GPUs that a variable names, [] if it names none."""
    return [name.strip() for name in text.split(",") if name.strip()]


def crowded(jobs: int, each: int, gpus: int) -> str | None:
    """Return a remark on jobs of `each` processes that have fewer processors than processes, without GPUs; or None."""
    count = processors.count()
    if gpus or jobs * each <= count:
        return None
    few = many(count, "processor")
    return (
        f"sweep.parallel={jobs}: there is no GPU, and {few}: the jobs take turns, and all need their "
        f"memory at once; sweep.parallel={max(1, count // each)} takes no longer"
    )


def start(command: Sequence[str], environment: Mapping[str, str], output: Path | None) -> subprocess.Popen[bytes]:
    """Start a job, with its output appended to a file if one is given."""
    if output is None:
        with ctrl_c_blocked():
            return subprocess.Popen(command, env=environment)
    with output.open("ab") as file, ctrl_c_blocked():
        return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=file, stderr=file)


def why(output: Path) -> str:
    """Return what a job that failed printed last."""
    lines = [line for line in output.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return f": {lines[-1]}" if lines else ""


def run(starts: Iterable[Callable[[Place], Running | None]], free: Sequence[Place], look: Callable[[], object]) -> bool:
    """Call the starts, as many at a time as there are places; return False if a signal stopped them.

    A start is taken when a place is free, so it may depend on jobs that have ended. It returns None if nothing is to be
    run. A signal is passed on to all jobs that run, and an error of a start stops them too; both wait for their end.
    `look` is called about ten times a second.
    """
    waiting, places, running = iter(starts), deque(free), list[tuple[Running, Place]]()
    more = True
    try:
        while more or running:
            while more and places:
                with held():
                    start = next(waiting, None)
                    more = start is not None
                    begun = start(places[0]) if start is not None else None
                    if begun is not None:
                        running.append((begun, places.popleft()))
            with held():
                _reap(running, places)
                look()
            if running:
                time.sleep(EVERY)
    except BaseException as reason:
        for job, _ in running:
            job.process.send_signal(signal.SIGUSR1)  # it may have got the signal itself, and this one asks again only
        for job, _ in running:
            job.end(job.process.wait(), True)
        if not isinstance(reason, Stopped):
            raise
        return False
    return True


def _reap(running: list[tuple[Running, Place]], places: deque[Place]) -> None:
    """Take the jobs that have ended out of `running`, and give their places back."""
    for job, place in list(running):
        code = job.process.poll()
        if code is not None:
            running.remove((job, place))
            places.append(place)
            job.end(code, False)
