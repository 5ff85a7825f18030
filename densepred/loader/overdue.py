"""A limit of time for the whole wait for a batch.

torch's own timeout bounds the wait for the word that a batch is ready. Its tensors are then taken from the worker by a
socket, without a limit: a worker that is halted in between would hold up the run for ever. It also counts the time in
which the whole run is halted, by Ctrl-Z or by a cluster that suspends the job. So torch gets no limit, and the looks of
a thread are counted, which is halted with the run.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from densepred.errors import WorkerKilled
from densepred.process.motion import look_up

DONE = object()
"""The value that `Overdue.next` returns at the end."""

EVERY = 0.5
"""Seconds between two looks at the wait."""

HALTED = 30.0
"""Seconds that a worker may be halted while a batch is awaited without a timeout."""

LATE = "DataLoader timed out"
"""The error of a wait that was too long, which begins as torch's does."""


class Overdue:
    """Waits for the batches of torch's iterator. Workers that let it wait for longer than `timeout` seconds are killed.

    Then the wait ends with an error, whatever it waits for. With a timeout of 0 a batch may take any time, unless a
    worker is halted (SIGSTOP) for HALTED seconds, where /proc tells it. Without workers nothing is watched.
    """

    def __init__(self, iterator: Iterator[Any], timeout: float) -> None:
        self.iterator, self.timeout = iterator, timeout
        self.workers = getattr(iterator, "_workers", [])
        self.waits = False
        self.asked = 0  # batches so far
        self.killed: RuntimeError | WorkerKilled | None = None
        self._ended, self._thread = threading.Event(), threading.Thread(target=self._look, name="overdue", daemon=True)

    def __enter__(self) -> Overdue:
        if self.workers:
            self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        if self.workers:
            self._thread.join()  # it holds the iterator, and must not be the one that frees it while Python ends

    def next(self) -> Any:
        """Return the next batch, or DONE.

        Raises RuntimeError as torch does if none comes in time, WorkerKilled if a worker stays halted.
        """
        self.asked, self.waits = self.asked + 1, True
        try:
            return self._next()
        except (EOFError, OSError, RuntimeError) as error:
            if self.killed is None:
                raise
            raise self.killed from error
        finally:
            self.waits = False

    def _next(self) -> Any:
        try:
            return next(self.iterator, DONE)
        except (EOFError, OSError, RuntimeError):
            for worker in self.workers if self.killed else ():
                with contextlib.suppress(RuntimeError):  # torch raises a death by a signal, which may come after this
                    worker.join()
            raise

    def _look(self) -> None:
        asked = 0
        waited = halted = 0.0
        while not self._ended.wait(EVERY):
            if not self.waits or self.asked != asked:
                asked, waited, halted = self.asked, 0.0, 0.0
                continue
            waited += EVERY
            if self.timeout:
                self.killed = RuntimeError(LATE) if waited > self.timeout else None
            else:
                halted = halted + EVERY if self._halted() else 0.0
                self.killed = WorkerKilled(_sentence(halted)) if halted >= HALTED else None
            if self.killed is not None:
                for worker in self.workers:
                    worker.kill()
                return

    def _halted(self) -> bool:
        """Return True if a worker is halted; never where there is no /proc."""
        found = (look_up(worker.pid) for worker in self.workers)
        return any(one is not None and one.state == "T" for one in found)


def _sentence(seconds: float) -> str:
    return (
        f"a loader worker was halted (SIGSTOP) for {seconds:.0f} seconds while its result was awaited; let it go on in "
        "time, or set data.workers=0"
    )
