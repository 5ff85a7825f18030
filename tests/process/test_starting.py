"""Signals while a command starts: one line, and no traceback of an import."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys

import pytest

from densepred.process import role, signals, starting
from tests.conftest import REPOSITORY

STARTING = """
import os, signal, sys
sys.orig_argv[:] = {words}
import densepred
{done}
os.kill(os.getpid(), signal.{name})
print("went on")
"""


def signalled(name: str, words: list[str], done: str = "", **variables: str) -> tuple[int, str]:
    """Import densepred in a process with these words, and signal it; return its exit code and its errors."""
    text = STARTING.format(words=words, name=name, done=done)
    call = [sys.executable, "-c", text]
    environment = {**os.environ, **variables}
    found = subprocess.run(call, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    assert found.stdout == ""
    return found.returncode, found.stderr


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_command_that_is_only_imported_ends_with_one_line(name: str) -> None:
    expected = f"stopped by {name}; nothing was kept; type the command again\n"
    assert signalled(name, ["python", "-m", "densepred.train"]) == (130, expected)


def test_other_processes_of_a_command_are_silent() -> None:
    words = ["python", "bin/densepred-train"]
    assert signalled("SIGINT", words, RANK="1") == (130, "")
    assert signalled("SIGINT", words, **{role.CLAIMED: "1"}) == (130, "")


def test_a_signal_while_python_ends_keeps_the_exit_code_of_the_work() -> None:
    words, done = ["python", "bin/densepred-train"], "from densepred.process import starting; starting.done(4)"
    assert signalled("SIGINT", words, done) == (4, "")


def test_on_windows_a_command_ends_with_one_line_and_a_program_with_an_error_of_the_import() -> None:
    code = "import os, sys; os.name = 'nt'; sys.argv[0] = '{}'; import densepred"
    for name, expected in (("Scripts/densepred-train.exe", 2), ("-m", 2), ("notebook.py", 1)):
        call = [sys.executable, "-c", code.format(name)]
        done = subprocess.run(call, cwd=REPOSITORY, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (expected, "")
        assert done.stderr.rstrip().endswith("it needs Linux or macOS; on Windows install it in WSL 2 (wsl --install)")
        assert ("Traceback" in done.stderr) == (expected == 1)


def test_garbage_is_collected_rarely_until_all_is_imported() -> None:
    code = (
        "import gc, sys; usual = gc.get_threshold(); sys.orig_argv[:] = ['python', '-m', 'densepred.train']\n"
        "import densepred.process.starting as starting; print(gc.get_threshold() == starting.RARELY, gc.isenabled())\n"
        "starting.imported(); print(gc.get_threshold() == usual, gc.get_freeze_count() > 1000)\n"
        "gc.set_threshold(5); starting.imported(); print(gc.get_threshold()[0])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True", "True", "True", "5"]


def test_a_program_that_imports_densepred_keeps_its_collector_of_garbage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "_usual", None)
    before = gc.get_threshold(), gc.get_freeze_count()
    starting.guard(["python", "notebook.py"])
    starting.imported()
    assert (gc.get_threshold(), gc.get_freeze_count()) == before


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["python", "-m", "densepred.train", "model=unet"], True),
        (["python", "-u", "-X", "dev", "-m", "densepred.commands.check"], True),
        (["python", "/usr/bin/densepred-eval", "ckpt=RUN"], True),
        (["python", "-m", "pytest", "densepred-train"], False),
        (["python", "-c", "from multiprocessing.spawn import spawn_main"], False),
        (["python", "notebook.py", "-m", "densepred.train"], False),
        (["python"], False),
    ],
)
def test_only_a_command_takes_signals_when_densepred_is_imported(words: list[str], expected: bool) -> None:
    assert starting.is_command(words) == expected


def test_nohup_is_kept_and_an_interrupt_that_a_shell_ignores_in_its_background_is_taken() -> None:
    former = {number: signal.getsignal(number) for number in signals.SIGNALS}
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        starting.guard(["python", "-m", "densepred.train"])
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
        assert signal.getsignal(signal.SIGINT) == starting._end
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
