"""The state of a sweep while its jobs run: rewritten in place on a terminal, elsewhere a line now and then."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from densepred import output
from densepred.rundir.console import duration
from densepred.sweep.job import SweepJob
from densepred.sweep.scores import Scores
from densepred.sweep.table import aligned, shown, winner

REWRITTEN, TOLD = 1.0, 30.0
"""Seconds between two states on a terminal, and elsewhere."""
ROWS = 20
"""The most jobs that are shown; the line above them counts all."""


@dataclass
class Row:
    """A job that runs. `monitor` is the score that selects its best weights, None for commands without one."""

    words: Sequence[str]
    begun: float
    monitor: str | None
    scores: Scores
    last: tuple[int, float] | None = None

    def cells(self, number: int, now: float, shared: Collection[str]) -> list[str]:
        """Return the row of the job, without `shared` overrides; reads the validations that are new."""
        if self.monitor is not None and (new := self.scores.new(self.monitor)):
            self.last = new[-1]
        score = "" if self.last is None else f"step {self.last[0]}: {self.monitor} {shown(self.last[1])}"
        own = " ".join(word for word in self.words if word not in shared)
        return [f"  job {number}", own, duration(now - self.begun), score]


class Live:
    """The state below the lines of a sweep. Jobs that print on the terminal themselves leave no place for it."""

    def __init__(self, total: int | None, jobs: Sequence[SweepJob], now: Callable[[], float] = time.monotonic) -> None:
        """`total` counts all jobs, None if it is not known; `jobs` gets those that have ended."""
        self.total, self.jobs, self.now = total, jobs, now
        self.rows: dict[int, Row] = {}
        self.shared: set[str] | None = None  # overrides of all jobs that have begun
        self.terminal = sys.stdout.isatty()
        self.written = now()
        self.height = 0

    def began(self, number: int, words: Sequence[str], monitor: str | None, folder: Path) -> None:
        self.rows[number] = Row(words, self.now(), monitor, Scores(folder))
        self.shared = set(words) if self.shared is None else self.shared & set(words)

    def ended(self, number: int) -> None:
        self.rows.pop(number, None)

    def say(self, text: str) -> None:
        """Print a line above the state, which follows at the next look."""
        self.clear()
        print(text, flush=True)

    def look(self) -> None:
        """Show the state if it is time; called often while jobs run."""
        now = self.now()
        if not self.rows or now - self.written < (REWRITTEN if self.terminal else TOLD):
            return
        self.written = now
        self.clear()
        if not self.terminal:
            print(self.state(), flush=True)
            return
        width = shutil.get_terminal_size().columns - 1
        rows = list(self.rows.items())[:ROWS]
        table = aligned([row.cells(number, now, self.shared or ()) for number, row in rows])
        lines = [line[:width] for line in (self.state(), *table.splitlines())]
        print("\n".join(lines), flush=True)
        self.height = len(lines)

    def clear(self) -> None:
        """Remove the state from the terminal."""
        if self.height:
            output.erase(self.height)
            self.height = 0

    def state(self) -> str:
        """Return one line: jobs that have ended and that run, and the best one."""
        of = "" if self.total is None else f" of {self.total}"
        best = f"; {winner(self.jobs, self.shared)}" if any(job.code == 0 for job in self.jobs) else ""
        return f"{len(self.jobs)}{of} jobs ended, {len(self.rows)} in progress{best}"
