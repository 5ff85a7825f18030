"""A process that stops with its parent: a rank without its launcher, a job without its sweep."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import threading
import time

PARENT = "DENSEPRED_PARENT"
"""Environment variable with the id of the process that started this one, in case that it ends too early to be seen."""

PR_SET_PDEATHSIG = 1
GRACE = 30.0
"""Seconds that a process has to save after its parent has ended."""

EVERY = 1.0
"""Seconds between two looks at the id of the parent."""


def stop_with_parent(grace: float = GRACE) -> None:
    """Send SIGUSR1 to this process when its parent ends, and end it `grace` seconds later if it is still there.

    The kernel sends the signal on Linux. A thread that compares the id of the parent covers other systems, and a parent
    that ended before.
    """
    expected = int(os.environ.get(PARENT, os.getppid()))
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGUSR1), 0, 0, 0)
    threading.Thread(target=_watch, args=(expected, grace), daemon=True).start()


def _watch(parent: int, grace: float) -> None:
    while os.getppid() == parent:
        time.sleep(EVERY)
    os.kill(os.getpid(), signal.SIGUSR1)
    time.sleep(grace)
    os._exit(1)
