"""Number, signals and end of loader workers: they outlive a signal to the process group, never their parent."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from multiprocessing.queues import Queue
from types import FrameType, TracebackType

import torch
from torch._C import _remove_worker_pids  # pyright: ignore[reportAttributeAccessIssue]
from torch.utils.data import DataLoader

from densepred.errors import UNSTARTED
from densepred.process import processors, signals

AUTO, FEW, MANY = "auto", 2, 16
"""A number of workers by the machine; the number on a CPU, which also computes; the most beside an accelerator."""

NO_FILE = 72
"""Exit code of a loader worker that can open no further file; EX_OSFILE of sysexits.h."""

NO_SHARED = 73
"""Exit code of a loader worker that gets no shared memory for a batch; EX_CANTCREAT of sysexits.h."""

HUNG_UP = (ConnectionError, EOFError)
"""Errors of a connection that the parent has closed."""

LINGER = 60.0
"""Seconds that a loader worker stays after SIGTERM."""

FAREWELL = 0.5
"""Seconds that workers have to end by themselves when their loader is closed."""


def number(wanted: int | str, device: torch.device) -> int:
    """Return the number of workers of this process for `data.workers`.

    An accelerator leaves the processors to the loaders; those of all processes of the machine share them.
    """
    if wanted != AUTO:
        return int(wanted)
    if device.type == "cpu":
        return FEW
    return max(1, min(MANY, processors.count() // int(os.environ.get("LOCAL_WORLD_SIZE", 1))))


def calm_worker(worker: int) -> None:
    """Ignore the signals that a process group receives, so that the run can save first; end when the parent ends.

    A terminal sends Ctrl-C to the group, `timeout` sends SIGTERM, job managers send these and requests to save.
    """
    for number in (signal.SIGINT, *signals.REQUESTS):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _linger)
    sys.excepthook = _report
    Queue._on_queue_feeder_error = staticmethod(_unsent)  # pyright: ignore[reportAttributeAccessIssue]
    setattr(threading.Thread, "start", _started_or_ended(threading.Thread.start))  # noqa: B010 - pyright minds the other form
    if (parent := multiprocessing.parent_process()) is not None:
        threading.Thread(target=_end_after, args=(parent,), daemon=True).start()


def _unsent(error: BaseException, item: object) -> None:
    """Report what kept a thread from sending a batch, and end this worker: the parent would wait for the batch."""
    _report(type(error), error, error.__traceback__)
    if not isinstance(error, HUNG_UP):
        os._exit(1)


def _started_or_ended(start: Callable[[threading.Thread], None]) -> Callable[[threading.Thread], None]:
    """Return `Thread.start`, which ends this worker by UNSTARTED if no thread can start.

    torch and multiprocessing start some here, and an error in one of theirs is a traceback of thirty lines.
    """

    def started(thread: threading.Thread) -> None:
        try:
            start(thread)
        except RuntimeError as error:
            if "can't start new thread" not in str(error):
                raise
            os._exit(UNSTARTED)

    return started


def _report(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print an uncaught error, except one of a connection that the parent has closed.

    A thread of multiprocessing hands tensors to the parent. A parent that is stopped while it takes one hangs up. At
    the limit of open files, or of shared memory, the thread would fail again and again while the parent waits, so the
    worker ends. torch tells of both in the text of an error alone.
    """
    text = str(error) if isinstance(error, RuntimeError) else ""
    if (isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE)) or "Too many open files" in text:
        os._exit(NO_FILE)
    if "shared memory" in text and "No space left on device" in text:
        os._exit(NO_SHARED)
    if not isinstance(error, HUNG_UP):
        sys.__excepthook__(kind, error, trace)


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


def end_workers(loader: DataLoader) -> None:
    """End the workers now: those alive at Python's exit print a traceback. Kill those that hang or are halted."""
    iterator = getattr(loader, "_iterator", None)
    if iterator is not None:
        late = threading.Timer(FAREWELL, _kill, (iterator,))
        late.daemon = True
        late.start()
        try:
            iterator._shutdown_workers()  # pyrefly: ignore[missing-attribute], it is one of several processes
        finally:
            late.cancel()
            _kill(iterator)
            late.join()  # it holds the iterator: a thread that frees tensors while Python ends aborts the process


def _kill(iterator) -> None:
    """Kill the workers that are left, and take them from the list of torch, which would raise an error."""
    if iterator._worker_pids_set:
        _remove_worker_pids(id(iterator))
        iterator._worker_pids_set = False
    for worker in iterator._workers:
        if worker.is_alive():
            worker.kill()


@contextmanager
def ending_children() -> Iterator[None]:
    """Kill every process that multiprocessing has started inside, those of a loader that was never finished too.

    Those from before stay: a program that calls densepred may have some of its own.
    """
    before = {child.pid for child in multiprocessing.active_children()}
    try:
        yield
    finally:
        children = [child for child in multiprocessing.active_children() if child.pid not in before]
        main = threading.current_thread() is threading.main_thread()
        former = signal.signal(signal.SIGCHLD, signal.SIG_DFL) if main else None  # torch's raises an error for each
        for child in children:
            child.kill()
            child.join(FAREWELL)
        if main:
            signal.signal(signal.SIGCHLD, former)
