"""Ends of a command under a limit of address space, which a second process tells of."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from densepred.process import control_group, limits
from tests import cases
from tests.conftest import PATIENCE, REPOSITORY

COMMAND = """
import os, signal, sys, time
sys.orig_argv[:] = ["python", "-m", "densepred.train"]
import densepred
from densepred.process import starting, supervisor
"""
SPACE = 4 * 2**30


def limited() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (SPACE, SPACE))


def start(text: str) -> subprocess.Popen[str]:
    """Start a command of which only the imports are real, with `text` in place of its work."""
    call = [sys.executable, "-c", COMMAND + text]
    return subprocess.Popen(call, cwd=REPOSITORY, preexec_fn=limited, text=True, stdout=-1, stderr=-1)


def ended(text: str) -> tuple[int, str]:
    process = start(text)
    _, err = process.communicate(timeout=PATIENCE)
    return process.returncode, err


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("os.abort()", "was ended by SIGABRT"),
        ("os._exit(1)", "ended with exit code 1 in one of its libraries"),
        ("os._exit(127)", "ended with exit code 127 in one of its libraries"),
        cases.slow(("supervisor.expect(0.5); time.sleep(900)", "did not move for 1 s")),
    ],
)
def test_an_end_that_the_command_cannot_tell_of_is_one_line(text: str, fact: str) -> None:
    code, err = ended(f"supervisor.go_on('resume with: it'); {text}")
    assert code == 2
    [line] = err.splitlines()
    assert line.startswith(f"error: ulimit -v: 4.3 GB of address space: the command {fact}, most likely because")
    assert line.endswith("; resume with: it")


@pytest.mark.parametrize("code", [0, 1, 2, 75])
def test_the_code_of_a_command_that_told_of_its_end_stands(code: int) -> None:
    assert ended(f"starting.done({code}); os._exit({code})") == (code, "")


def test_a_process_that_computes_or_waits_for_one_that_does_is_not_ended() -> None:
    """It ends between two looks of the supervisor, which is less patient here than one look takes."""
    works = "end = time.monotonic() + 2.5\nwhile time.monotonic() < end: pass\nos._exit(3)"
    code, err = ended(f"supervisor.expect(0.5)\nif os.fork(): os.wait(); os._exit(0)\n{works}")
    assert (code, err) == (0, "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_are_passed_on_and_told_once(number: signal.Signals) -> None:
    process = start("print('ready', flush=True); time.sleep(900)")
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(number)
    _, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (130, f"stopped by {number.name}; {starting_again()}\n")


def starting_again() -> str:
    return "nothing was kept; type the command again"


def test_a_kill_ends_both_processes() -> None:
    process = start("print(os.getpid(), flush=True); time.sleep(900)")
    assert process.stdout is not None
    child = int(process.stdout.readline())
    assert child != process.pid
    process.kill()
    assert process.wait() == -signal.SIGKILL
    limit = time.monotonic() + PATIENCE
    while Path(f"/proc/{child}").exists() and "Z" not in Path(f"/proc/{child}/stat").read_text().split():
        assert time.monotonic() < limit
        time.sleep(0.01)


def test_a_killed_command_ends_as_killed() -> None:
    assert ended("os.kill(os.getpid(), signal.SIGKILL)") == (-signal.SIGKILL, "")


def test_limits_of_processes_count_threads_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (500, 500) if kind == resource.RLIMIT_NPROC else (-1, -1))
    monkeypatch.setattr(os, "getuid", lambda: 4321)
    monkeypatch.setattr(limits, "_threads", lambda name: 499 if name == str(os.getpid()) else 0)
    monkeypatch.setattr(control_group, "ROOT", Path("/nowhere"))
    assert limits.processes_left() == 1
    assert limits.tight()
    assert limits.described() == "ulimit -u, or pids.max of the container: 500 processes and threads"


def test_the_limit_of_a_container_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pids.max").write_text("max\n")
    (tmp_path / "pids.current").write_text("7\n")
    monkeypatch.setattr(control_group, "ROOT", tmp_path)
    monkeypatch.setattr(control_group, "OWN", tmp_path / "absent")
    monkeypatch.setattr(os, "getuid", lambda: 0)
    assert limits.processes_left() is None
    (tmp_path / "pids.max").write_text("40\n")
    assert limits.processes_left() == 33
