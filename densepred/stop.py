"""Stopping on request: SIGTERM, SIGINT and SIGUSR1 raise a flag that every phase of a run polls."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from types import FrameType

LINGER = 60.0
"""Seconds that a loader worker stays after SIGTERM."""

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


class StopFlag:
    """Raised by the first signal; a second one of the kind that end a process ends it at once.

    It listens inside a `with` statement, and puts the former handlers back.
    """

    def __init__(self) -> None:
        self.raised = False

    def __enter__(self) -> StopFlag:
        self._former = {number: signal.signal(number, self._hear) for number in SIGNALS}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self.raised and number != signal.SIGUSR1:
            os._exit(128 + number)
        self.raised = True


def calm_worker(worker: int) -> None:
    """A loader worker outlives signals that are sent to all processes of a run, so that the run can save and end it.

    A terminal sends Ctrl-C to all, `timeout` and job managers send SIGTERM. A worker that nobody ends ends by itself.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _linger)
    # torch's watchdog takes whoever is the parent when it starts for the loader: one that was killed just after the
    # fork would leave this process waiting for ever.
    parent = multiprocessing.parent_process()
    if parent is not None and os.getppid() != parent.pid:
        os._exit(1)


def _linger(number: int, frame: FrameType | None) -> None:
    end = threading.Timer(LINGER, os._exit, (128 + number,))
    end.daemon = True
    end.start()


class Stopped(Exception):  # noqa: N818 - it is no error
    """The run was asked to stop and can be resumed."""


class NonFinite(Exception):  # noqa: N818 - it is no error of the program
    """Too many steps in a row had a loss or gradient that is not finite."""
