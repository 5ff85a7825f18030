"""Stopping on request: SIGTERM, SIGINT and SIGUSR1 raise a flag that every phase of a run polls."""

from __future__ import annotations

import os
import signal
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


class StopFlag:
    """Raised by the first signal; a second SIGTERM or SIGINT ends the process at once.

    Its handlers act inside a `with` statement, which restores the former ones.
    """

    def __init__(self) -> None:
        self.raised = False

    def __enter__(self) -> StopFlag:
        self._former = {number: signal.signal(number, self._on_signal) for number in SIGNALS}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.raised and number != signal.SIGUSR1:
            os._exit(128 + number)
        self.raised = True


class Stopped(Exception):  # noqa: N818 - it is no error
    """The run was asked to stop and can be resumed."""


class NonFinite(Exception):  # noqa: N818 - it is no error of the program
    """Too many steps in a row had a loss or gradient that is not finite."""
