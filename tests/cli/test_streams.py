"""Standard streams that are closed or full."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from densepred.cli import streams


def in_fork(act: str, folder: Path) -> tuple[int, str]:
    """Run code in a fork with a file as standard error; return its exit code and what it wrote there."""
    if (pid := os.fork()) == 0:
        code = 70
        try:
            os.dup2(os.open(folder / "err", os.O_CREAT | os.O_WRONLY), 2)
            sys.stderr = open(2, "w", closefd=False, buffering=1)  # noqa: SIM115
            names = {"streams": streams, "os": os, "sys": sys}
            exec(act, names)
            code = int(names["code"])  # pyright: ignore
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), (folder / "err").read_text()


@pytest.mark.parametrize(("code", "ends"), [(0, 2), (75, 75)])
def test_output_on_a_full_disk_is_one_line(tmp_path: Path, code: int, ends: int) -> None:
    act = f"sys.stdout = open('/dev/full', 'w'); streams.prepare(); print('scores'); code = streams.flushed({code})"
    found, err = in_fork(act, tmp_path)
    assert (found, err) == (
        ends,
        "error: standard output: no space left on device; free some space, or choose another folder\n",
    )


def piped(act: str) -> str:
    """Return code that prints into a pipe without a reader before `act`, and sets `code`."""
    return f"""
reader, writer = os.pipe()
os.dup2(writer, 1)
os.close(writer)
os.close(reader)
sys.stdout = open(1, "w", closefd=False, buffering=1)
streams.prepare()
print("scores")
{act}
sys.stdout.flush()
"""


@pytest.mark.parametrize("code", [0, 75])
def test_a_reader_that_has_ended_ends_no_command_and_is_no_error(tmp_path: Path, code: int) -> None:
    nowhere = "assert os.readlink('/proc/self/fd/1') == os.devnull"
    assert in_fork(piped(f"print('more'); code = streams.flushed({code}); {nowhere}"), tmp_path) == (code, "")


def test_a_log_on_a_full_disk_is_a_warning_because_train_log_has_it(tmp_path: Path) -> None:
    act = """
from densepred.rundir import log
sys.stdout = open("/dev/full", "w")
streams.prepare()
log.tell("scores", sys.stdout)
log.tell("scores", sys.stdout)
code = streams.flushed(0)
"""
    warning = "warning: standard output: no space left on device; further lines stand in train.log alone\n"
    assert in_fork(act, tmp_path) == (0, warning)


def test_a_line_for_a_closed_standard_error_raises_nothing(tmp_path: Path) -> None:
    act = """
from densepred.process import standard_error
os.close(2)
standard_error.write("stopped by SIGTERM")
code = 3
"""
    assert in_fork(act, tmp_path) == (3, "")


def test_closed_streams_lead_nowhere_and_their_numbers_are_taken(tmp_path: Path) -> None:
    act = """
os.close(1)
sys.stdout = None
streams.prepare()
print("scores")
file = os.open(os.devnull, os.O_RDONLY)
code = streams.flushed(0) if file > 2 and os.readlink("/proc/self/fd/1") == os.devnull else 71
"""
    assert in_fork(act, tmp_path) == (0, "")


def test_a_current_folder_that_was_deleted_is_one_line(tmp_path: Path) -> None:
    act = f"""
from densepred.cli import command
os.mkdir({str(tmp_path / "gone")!r})
os.chdir({str(tmp_path / "gone")!r})
os.rmdir(os.getcwd())
sys.argv = ["densepred-train"]
try:
    command.run(lambda cfg: 0, "train")
except SystemExit as end:
    code = end.code
"""
    message = "error: the current folder: it was deleted or moved; change to another one (cd)\n"
    assert in_fork(act, tmp_path) == (2, message)
