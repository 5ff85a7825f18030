"""Signals and the end of a loader worker: it outlives a signal to the whole process group, never its parent."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from multiprocessing.process import BaseProcess
from types import FrameType

LINGER = 60.0
"""Seconds that a loader worker stays after SIGTERM."""


def calm_worker(worker: int) -> None:
    """Ignore the signals that a process group receives, so that the run can save first; end when the parent ends.

    A terminal sends Ctrl-C to the group, `timeout` and job managers send SIGTERM.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _linger)
    if (parent := multiprocessing.parent_process()) is not None:
        threading.Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(parent: BaseProcess) -> None:
    """Wait for the parent's end, then end this process at once.

    torch's watchdog compares parent ids instead. It misses a parent killed before the watchdog starts, and under the
    start method forkserver any parent: there the server is the parent by id, and it lives as long as its workers.
    """
    parent.join()
    os._exit(1)


def _linger(number: int, frame: FrameType | None) -> None:
    end = threading.Timer(LINGER, os._exit, (128 + number,))
    end.daemon = True
    end.start()
