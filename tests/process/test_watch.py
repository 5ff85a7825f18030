"""Hangs under limits that came after the start, and in calls from Python: no second process watches there."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest

from densepred.cli import call
from densepred.errors import UserError
from densepred.process import limits, supervisor, watch
from tests import cases
from tests.conftest import PATIENCE, REPOSITORY

COMMAND = """
import resource, threading, time
from densepred.process import supervisor, watch
watch.EVERY = 0.3
supervisor.expect(0.5)
supervisor.go_on("resume with: it")
"""
LOWER = "resource.setrlimit(resource.RLIMIT_AS, (4 * 2**30, 4 * 2**30))"


def ended(work: str) -> tuple[int, str, str]:
    call = [sys.executable, "-c", f"{COMMAND}\nwith watch.watched(watch.end):\n    {work}\nprint('whole')"]
    done = subprocess.run(call, cwd=REPOSITORY, capture_output=True, text=True, timeout=PATIENCE)
    return done.returncode, done.stdout, done.stderr


def test_a_command_that_hangs_under_a_limit_that_was_lowered_ends_by_one_line() -> None:
    code, out, err = ended(f"{LOWER}; threading.Event().wait()")
    assert (code, out) == (2, "")
    [line] = err.splitlines()
    assert line.startswith("error: ulimit -v: 4.3 GB of address space: the command did not move for ")
    assert line.endswith("; resume with: it")


@pytest.mark.parametrize(
    "work",
    [
        cases.slow("time.sleep(1.5)"),  # without a limit nothing is looked at
        f"{LOWER}; end = time.monotonic() + 1.5\n    while time.monotonic() < end: pass",
        f"{LOWER}; import subprocess, sys; subprocess.run([sys.executable, '-c', 'for i in range(3*10**7): pass'])",
    ],
    ids=["no limit", "computes", "waits for a process that computes"],
)
def test_a_command_that_moves_or_has_no_limit_goes_on(work: str) -> None:
    assert ended(work) == (0, "whole\n", "")


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit that is near, and a watch that waits for a part of a second."""
    monkeypatch.setattr(watch, "EVERY", 0.02)
    monkeypatch.setattr(limits, "tight", lambda: True)
    monkeypatch.setattr(limits, "described", lambda: "ulimit -v: 4.3 GB of address space")
    monkeypatch.setattr(supervisor, "patience", lambda: 0.1)


def called(wait: Callable[[], object]) -> None:
    """Call a command that only waits, as the api does."""
    call.call(lambda cfg: None if wait() else 0, "report", ["runs=."])


@pytest.mark.usefixtures("hasty")
def test_a_call_from_python_that_hangs_raises_the_sentence() -> None:
    """As Thread.start does if the thread cannot begin: a wait for a lock without end."""
    with pytest.raises(UserError, match=r"^ulimit -v: 4\.3 GB of address space: the command did not move for"):
        called(threading.Event().wait)
    assert watch.taken() is None


@pytest.mark.usefixtures("hasty")
def test_what_a_call_closes_after_a_hang_may_hang_too() -> None:
    def wait() -> None:
        try:
            threading.Event().wait()
        finally:
            threading.Event().wait()

    with pytest.raises(UserError, match="the command did not move for"):
        called(wait)


@pytest.mark.usefixtures("hasty")
def test_outside_the_main_thread_a_line_tells_of_it(capfd: pytest.CaptureFixture[str]) -> None:
    free = threading.Event()
    thread = threading.Thread(target=called, args=(free.wait,))
    thread.start()
    err = ""
    while "did not move" not in err and thread.is_alive():
        time.sleep(0.05)  # a thread that computes would count as a move
        err += capfd.readouterr().err
    free.set()
    thread.join(PATIENCE)
    assert err.startswith("error: ulimit -v: 4.3 GB of address space: the command did not move for ")
