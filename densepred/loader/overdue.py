"""A limit of time for the whole wait for a batch.

torch's own timeout bounds the wait for the word that a batch is ready. Its tensors are then taken from the worker by a
socket, without a limit: a worker that is halted in between would hold up the run for ever.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

DONE = object()
"""The value that `Overdue.next` returns at the end."""

EVERY = 0.5
"""Seconds between two looks at the wait."""

LATER = 2.0
"""Seconds after torch's timeout, which comes first wherever it can."""

LATE = "DataLoader timed out: a worker halted while it handed a batch over"
"""The error of a wait that was too long, which begins as torch's does."""


class Overdue:
    """Waits for the batches of torch's iterator. Workers that let it wait for longer than `timeout` seconds are killed.

    Then the wait ends with an error, whatever it waits for. Without workers or a timeout nothing is watched.
    """

    def __init__(self, iterator: Iterator[Any], timeout: float) -> None:
        self.iterator, self.timeout = iterator, timeout
        self.workers = getattr(iterator, "_workers", []) if timeout else []
        self.since: float | None = None
        self.killed = False
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
        """Return the next batch, or DONE. Raises RuntimeError as torch does if none comes in time."""
        self.since = time.monotonic()
        try:
            return next(self.iterator, DONE)
        except (EOFError, OSError, RuntimeError) as error:
            if self.killed:
                for worker in self.workers:  # torch raises their deaths by a signal, which may come after this error
                    with contextlib.suppress(RuntimeError):
                        worker.join()
                raise RuntimeError(LATE) from error
            raise
        finally:
            self.since = None

    def _look(self) -> None:
        while not self._ended.wait(EVERY):
            since = self.since
            if since is not None and time.monotonic() - since > self.timeout + LATER:
                self.killed = True
                for worker in self.workers:
                    worker.kill()
                return
