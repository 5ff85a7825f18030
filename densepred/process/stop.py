"""Stopping on request: SIGTERM, SIGINT, SIGHUP, SIGUSR1 and SIGUSR2 raise a flag that each phase of a command polls.

Phases in which nothing can be lost are interruptible: there the signal raises `Stopped` at once.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

from densepred.errors import MachineError
from densepred.process import signals, standard_error, watch

STOPPED = 75
"""Exit code of a job that was stopped and can be resumed; EX_TEMPFAIL of sysexits.h."""

SAVING = 600.0
"""Seconds that the first process of a stopped run has to write its files before the others and a launcher go."""

SAME = 0.3
"""Seconds in which signals count as one: `timeout`, job managers and launchers send theirs more than once."""

AGAIN = 0.05
"""Seconds after which Stopped is raised again that came up in a finaliser, where Python drops every exception."""

T = TypeVar("T")


class Stopped(BaseException):
    """The command was asked to stop. Like KeyboardInterrupt it passes handlers of `Exception`.

    Its text, if any, tells what is kept and how to go on; `resumable` if a run can be resumed.
    """

    def __init__(self, text: str = "", resumable: bool = False) -> None:
        super().__init__(text)
        self.resumable = resumable


class _Hold:
    """Blocks of this process that must not be cut, and the flag that a signal raised meanwhile."""

    depth = 0
    flag: StopFlag | None = None


@contextmanager
def held() -> Iterator[None]:
    """Hold Stopped back inside the block, which is short and must not be cut; raise it behind it.

    Unlike `StopFlag.deferred` it needs no flag: the start of worker processes uses it.
    """
    _Hold.depth += 1
    try:
        yield
    finally:
        _Hold.depth -= 1
    if _Hold.depth == 0 and _Hold.flag is not None:
        flag, _Hold.flag = _Hold.flag, None
        if flag.interrupts:
            raise Stopped


@contextmanager
def ctrl_c_blocked() -> Iterator[None]:
    """Start processes inside the block with Ctrl-C kept back until their own StopFlag takes it.

    A terminal sends SIGINT to all its processes, and Python's own handler would print a traceback while they start.
    """
    former = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


class StopFlag:
    """Raised by the first signal; a second SIGTERM, SIGINT or SIGHUP ends the process at once.

    Its handlers act inside a `with` statement, which restores the former ones. SIGUSR1 and SIGUSR2 only ask, however
    often they come. `at_once` is called before the process ends at once.

    Outside the main thread Python allows no handlers, so the flag stays down there.
    """

    ends = True
    """False in a program that calls densepred, such as a notebook: a second signal raises KeyboardInterrupt there."""

    def __init__(self, at_once: Callable[[], object] = lambda: None) -> None:
        self.raised = False
        self.number: int | None = None
        self.at_once = at_once
        self._interruptible, self._time, self._process = False, 0.0, 0
        self._again: threading.Timer | None = None

    @property
    def name(self) -> str:
        """The name of the signal that came first."""
        return "a signal" if self.number is None else signal.Signals(self.number).name

    @property
    def interrupts(self) -> bool:
        """True inside `interruptible`."""
        return self._interruptible

    def __enter__(self) -> StopFlag:
        self._process = os.getpid()
        main = threading.current_thread() is threading.main_thread()
        wanted = [number for number in signals.wanted() if main and not _of_submitit(number)]
        self._former = {number: signal.signal(number, self._on_signal) for number in wanted}
        self._adopt(self._former.get(signal.SIGINT))
        self._hook = sys.unraisablehook
        if main:
            sys.unraisablehook = self._on_dropped
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # see ctrl_c_blocked
        return self

    def _adopt(self, handler: object) -> None:
        """Take over the signal of an outer flag. Code that was cut, such as an import of torch, may have hidden it."""
        outer = getattr(handler, "__self__", None)
        if isinstance(outer, StopFlag) and outer.raised:
            self.raised, self.number, self._time = True, outer.number, outer._time

    def __exit__(self, *error: object) -> None:
        if sys.unraisablehook == self._on_dropped:
            sys.unraisablehook = self._hook
        if self._again is not None:  # its signal must not meet the former handlers, which may end the process
            self._again.cancel()
            self._again.join()
        for number, handler in self._former.items():
            signal.signal(number, handler)

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Let a signal raise Stopped inside the block; raise it at once if one has come before."""
        if self.raised:
            raise Stopped
        former, self._interruptible = self._interruptible, True
        try:
            yield
        finally:
            self._interruptible = former

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Let a signal only raise the flag inside the block, which polls it or is short; raise Stopped behind it."""
        former, self._interruptible = self._interruptible, False
        try:
            yield
        finally:
            self._interruptible = former
        if former and self.raised:
            raise Stopped

    def waiting(self, items: Iterable[T]) -> Iterator[T]:
        """Yield the items; a signal during the wait for one raises Stopped."""
        iterator = iter(())
        with self.interruptible():
            iterator = iter(items)
        while True:
            with self.interruptible():
                try:
                    item = next(iterator)
                except StopIteration:
                    return
            yield item

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:  # a child that has not set its own handlers yet: its parent decides
            return
        if (hang := watch.taken()) is not None:
            raise MachineError(hang)
        now = time.monotonic()
        if self._again is not None:
            self._again.cancel()  # a signal of another sender came first
            self._again = None
            self._raise()
            return
        if self.raised:
            if number not in signals.REQUESTS and now - self._time > SAME:
                self._end(number)
            return
        self.raised, self.number, self._time = True, number, now
        self._raise()

    def _raise(self) -> None:
        if _Hold.depth:
            _Hold.flag = self
        elif self._interruptible:
            raise Stopped

    def _on_dropped(self, unraisable: sys.UnraisableHookArgs) -> None:
        """Signal once more if Stopped was raised inside `__del__` or a callback of the collector, which drop it."""
        if not isinstance(unraisable.exc_value, Stopped) or self.number is None:
            self._hook(unraisable)
            return
        self._again = threading.Timer(AGAIN, os.kill, (os.getpid(), self.number))
        self._again.daemon = True
        self._again.start()

    def _end(self, number: int) -> None:
        if not StopFlag.ends:
            self.at_once()
            raise KeyboardInterrupt(f"a second signal ({signal.Signals(number).name}); what was complete stays")
        try:
            self.at_once()
            name = signal.Signals(number).name
            standard_error.write(f"ended at once by a second signal ({name}); what was complete stays")
        finally:
            os._exit(128 + number)


def _of_submitit(number: int) -> bool:
    """Return True for SIGUSR2 if submitit, which runs this process, takes it."""
    handler = signal.getsignal(number)
    ours = str(getattr(handler, "__module__", None)).startswith("densepred.")
    return number == signal.SIGUSR2 and callable(handler) and not ours
