"""Progress of long work: a bar on a terminal, elsewhere a line now and then."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import Any, TextIO, TypeVar

from tqdm import TqdmWarning, tqdm

from densepred import output
from densepred.rundir.console import duration, in_notebook

EVERY = 30.0
"""Seconds between two lines where the output is no terminal, as in the log of a cluster's job."""

T = TypeVar("T")

# Dependencies import tqdm's bars for notebooks, which want a package of widgets; no bar is drawn by them here.
warnings.filterwarnings("ignore", "IProgress not found", TqdmWarning)


COUNT, TIMES = "{l_bar}{bar}| {n_fmt}/{total_fmt}", "{elapsed}<{remaining}"
FORMS = (
    f"{COUNT} [{TIMES}, {{rate_fmt}}{{postfix}}]",
    f"{COUNT} [{TIMES}{{postfix}}]",
    f"{{desc}}{{n_fmt}}/{{total_fmt}} [{TIMES}{{postfix}}]",
    "{desc}{n_fmt}/{total_fmt}{postfix}",
    "{desc}{n_fmt}/{total_fmt}",
)
"""Forms of a bar, from wide to narrow terminals."""
SHORTEST = 5
"""Columns of the bar itself."""


class _Bar(tqdm):
    """A bar that shows what fits its terminal.

    It has none of tqdm's threads, which could not start where processes are limited.
    """

    monitor_interval = 0

    @staticmethod
    def format_meter(  # pyright: ignore[reportIncompatibleMethodOverride] - called by keywords alone
        n: float, total: float | None, elapsed: float, ncols: int | None = None, **more: Any
    ) -> str:
        """Return the widest form that fits `ncols`; without a total, tqdm's own."""
        meter: Any = tqdm.format_meter
        if not total or ncols is None:
            return meter(n, total, elapsed, ncols=ncols, **more)
        for form in FORMS:
            more["bar_format"] = form
            least = len(meter(n, total, elapsed, **{**more, "bar_format": form.replace("{bar}", "")}))
            if least + SHORTEST * ("{bar}" in form) <= ncols:
                break
        return meter(n, total, elapsed, ncols=ncols, **more)


class ProgressBar:
    """Shows the count, a text and the time left. What is done within `EVERY` seconds prints no line.

    total: the count at the end, None if it is not known; initial: the count at the start
    left: returns the most seconds that are left, None without such a limit
    to: where lines go, None for standard output
    """

    def __init__(
        self,
        label: str,
        total: int | None,
        unit: str,
        initial: int = 0,
        enabled: bool = True,
        left: Callable[[], float | None] = lambda: None,
        to: TextIO | None = None,
    ) -> None:
        self.to, self.shown = to, ExitStack()
        self.label, self.total, self.unit, self.initial, self.left = label, total, unit, initial, left
        terminal = sys.stderr.isatty() or in_notebook()
        self.lines = enabled and not terminal
        self.bar = _Bar(
            total=total,
            initial=initial,
            unit=unit,
            desc=label,
            disable=not (enabled and terminal),
            leave=False,
            file=output.unscreened(sys.stderr),
            dynamic_ncols=True,
            position=0 if in_notebook() else None,  # its output cannot move the cursor up
            mininterval=1.0 if in_notebook() else 0.1,  # and each update is a message
        )
        self.count, self.text = initial, ""
        self.begun = self.printed = time.monotonic()

    def update(self, count: int = 1) -> None:
        self.count += count
        self.bar.update(count)
        if self.due():
            self.printed = time.monotonic()
            if self.lines:
                print(self.line(self.printed - self.begun), file=self.to or sys.stdout, flush=True)

    def due(self) -> bool:
        """Return True if the next update prints a line; on a terminal, as often."""
        return time.monotonic() - self.printed >= EVERY

    def note(self, text: str) -> None:
        """Set the text beside the count."""
        self.text = text
        self.bar.set_postfix_str(text, refresh=False)

    def line(self, seconds: float) -> str:
        """Return the state after `seconds` of work, such as "  training  step 40/900  loss 0.83  3:20 left"."""
        of = "" if self.total is None else f"/{self.total}"
        left = self._seconds_left(seconds)
        parts = [
            self.label,
            f"{self.unit} {self.count}{of}",
            self.text,
            "" if left is None else f"{duration(left)} left",
        ]
        return "  " + "  ".join(part for part in parts if part)

    def _seconds_left(self, seconds: float) -> float | None:
        done = self.count - self.initial
        found = [] if self.total is None or not done else [seconds / done * max(self.total - self.count, 0)]
        most = self.left()
        return min([*found, *([] if most is None else [max(most, 0.0)])], default=None)

    def over(self, items: Iterable[T]) -> Iterator[T]:
        """Yield the items, and count each when it is done."""
        with self:
            for item in items:
                yield item
                self.update()

    def __enter__(self) -> ProgressBar:
        self.shown.enter_context(output.above(lambda: self.bar.clear(nolock=True)))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.shown.close()
        self.bar.close()
