"""A thread that tells of a hang in a process that no second one watches.

`supervisor` watches commands that start under limits of memory or processes. Limits that are lowered later and calls
from Python come without it. Python waits there for ever for a thread that could not begin.
"""

from __future__ import annotations

import _thread
import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from densepred.process import limits, standard_error, supervisor
from densepred.process.motion import Motion, family

EVERY = 1.0
"""Seconds between two looks."""

AGAIN = 4
"""Times that a call is interrupted: what it closes then may hang too."""

Act = Callable[[str], object]
_told: str | None = None  # the sentence about a hang that the handler of a signal is to raise


@contextmanager
def watched(act: Act) -> Iterator[None]:
    """Call `act`, in a thread, with a sentence if this process hangs inside the block and a limit is near.

    If it still hangs after AGAIN calls of `act`, a line on standard error tells of it.
    """
    ended = threading.Event()
    if not supervisor.watches() and Path("/proc/self/stat").is_file():
        # A Thread's start would wait for ever itself if the thread cannot begin; without it nothing else is lost.
        with contextlib.suppress(RuntimeError, MemoryError):
            acts: list[Act] = [tell] if act is tell else [*[act] * AGAIN, tell]
            _thread.start_new_thread(_look, (ended, acts))
    try:
        yield
    finally:
        ended.set()
        if not supervisor.watches():
            supervisor.go_on("")  # the next call has a run of its own


def end(text: str) -> None:
    """End this process, a command, and its descendants by exit code 2."""
    for pid in family(os.getpid()).keys() - {os.getpid()}:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    tell(text)
    os._exit(2)


def tell(text: str) -> None:
    """Print the sentence as commands do."""
    standard_error.write(f"error: {text}")


def interrupt(text: str) -> None:
    """Let the handler of SIGUSR1 in the main thread raise the sentence: a wait for a lock ends by it."""
    global _told
    _told = text
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)


def taken() -> str | None:
    """Return the sentence that a signal is to raise, once; None if the signal came from elsewhere."""
    global _told
    text, _told = _told, None
    return text


def _look(ended: threading.Event, left: list[Act]) -> None:
    motion, still = Motion(os.getpid()), 0.0
    before, tight = limits.soft(), limits.tight()
    while left and not ended.wait(EVERY):
        with contextlib.suppress(MemoryError, OSError):  # memory is short: the next look may have some
            if (now := limits.soft()) != before:
                before, tight = now, limits.tight()
            moves = not tight or motion.seen(time.thread_time() * os.sysconf("SC_CLK_TCK"))
            still = 0.0 if moves else still + EVERY
            if still > supervisor.patience() and not ended.is_set():
                left.pop(0)(supervisor.sentence(f"the command did not move for {still:.0f} s"))
                still = 0.0
