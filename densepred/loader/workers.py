"""How a loader worker lives and ends: it outlives signals that are sent to all processes of a run."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from types import FrameType

LINGER = 60.0
"""Seconds that a loader worker stays after SIGTERM."""


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
