"""A worker that is halted holds up a command for a limited time; a run that is halted as a whole goes on afterwards."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from multiprocessing import resource_sharer
from pathlib import Path

import pytest

from densepred.errors import UserError, WorkerKilled
from densepred.loader import overdue
from densepred.loader.parallel_map import parallel_map
from tests.conftest import PATIENCE, REPOSITORY
from tests.loader.test_loaders import loader

SLOW = """
import time
from densepred.loader.loaders import guarded, made
from densepred.loader.workers import end_workers

class Samples:
    def __getitem__(self, index):
        time.sleep(0.5)
        return index

loader = made(Samples(), [[0], [1], [2], [3]], 1, 1.0, False, list)
print("ready", flush=True)
print(*guarded(loader, 1.0))
end_workers(loader)
"""
"""A program that waits for a worker most of the time, no longer than a second for a batch."""


def signalled(number: int) -> None:
    for child in multiprocessing.active_children():
        os.kill(child.pid or 0, number)


def test_a_worker_that_is_halted_before_it_hands_a_batch_over_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch's own timeout ends with the word that a batch is ready; its tensors come by a socket of the worker."""
    detach = resource_sharer.DupFd.detach

    def halted(self: resource_sharer.DupFd) -> int:
        signalled(signal.SIGSTOP)
        return detach(self)

    monkeypatch.setattr(resource_sharer.DupFd, "detach", halted)
    one = loader(1, "data.timeout_s=1")
    rescue = threading.Timer(PATIENCE / 3, signalled, (signal.SIGKILL,))
    rescue.start()
    try:
        with pytest.raises(UserError, match=r"no batch came within data\.timeout_s; is the disk slow, or a loader"):
            list(one.epoch(0))
    finally:
        rescue.cancel()
        one.close()


def halt(item: int) -> int:
    if item == 2:
        os.kill(os.getpid(), signal.SIGSTOP)
    return item


def test_a_halted_worker_is_named_where_a_result_may_take_any_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prediction and inspection have no timeout, because an image may take minutes."""
    monkeypatch.setattr(overdue, "HALTED", 1.0)
    found = parallel_map(halt, range(4), 1)
    rescue = threading.Timer(PATIENCE / 3, signalled, (signal.SIGKILL,))
    rescue.start()
    try:
        with pytest.raises(
            WorkerKilled, match=r"worker was halted \(SIGSTOP\) for 1 seconds .* or set data\.workers=0"
        ):
            list(found)
    finally:
        rescue.cancel()
        found.close()


def test_a_result_that_takes_long_is_awaited_where_no_worker_is_halted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overdue, "HALTED", 0.5)
    assert list(parallel_map(time.sleep, [2.0], 1)) == [None]


def test_a_run_that_is_halted_as_a_whole_goes_on(tmp_path: Path) -> None:
    """Ctrl-Z and clusters that suspend a job halt all processes of a run: that time does not count."""
    program = tmp_path / "slow.py"
    program.write_text(SLOW)
    run = subprocess.Popen(
        [sys.executable, str(program)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert run.stdout is not None
    assert run.stdout.readline() == "ready\n"
    time.sleep(0.7)
    os.killpg(run.pid, signal.SIGSTOP)
    time.sleep(2.0)
    os.killpg(run.pid, signal.SIGCONT)
    out, err = run.communicate(timeout=PATIENCE)
    assert (out, err, run.returncode) == ("[0] [1] [2] [3]\n", "", 0)
