"""The signals that ask a command to stop, and which of them it takes where it was started to ignore some."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType

REQUESTS = (signal.SIGUSR1, signal.SIGUSR2)
"""Signals that only ask: job managers send them to all processes of a job, and its launchers send them on."""

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, *REQUESTS)
"""Signals that ask a command to stop."""


def wanted() -> list[signal.Signals]:
    """Return the signals that this command takes.

    SIGHUP stays ignored under nohup, which asks for that. SIGINT is taken: a shell without job control lets all jobs in
    its background ignore it, whoever means to stop them by it.
    """
    return [one for one in SIGNALS if one != signal.SIGHUP or signal.getsignal(one) != signal.SIG_IGN]


def take(handler: Callable[[int, FrameType | None], object]) -> None:
    """Let a handler take the signals that this command takes."""
    for number in wanted():
        signal.signal(number, handler)
