"""Commands in a fork of this process, which has torch loaded: a process of their own in a fifth of the time.

What needs a fresh interpreter (imports, start-up, signals while it starts) takes `tests.program.test_program.start`.
"""

from __future__ import annotations

import gc
import os
import runpy
import signal
import sys
import tempfile
import traceback
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

from hydra.core.global_hydra import GlobalHydra


def module(command: str) -> str:
    """Return the module of a command."""
    return f"densepred.{command}" if command in ("train", "eval", "predict") else f"densepred.commands.{command}"


class Started:
    """A command in a fork of this process."""

    def __init__(self, command: str, words: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        self.out, self.err = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115 - closed by `texts`
        self.pid = os.fork()
        if self.pid == 0:
            code = 70
            try:
                code = _child(command, words, folder, environment, self.out.fileno(), self.err.fileno())
            finally:
                os._exit(code)

    def ended(self) -> int | None:
        """Return the exit code if the command has ended."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        return os.waitstatus_to_exitcode(status) if pid else None

    def wait(self) -> tuple[int, str, str]:
        """Wait for the end; return the exit code, the output and the errors."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1]), *self.texts()

    def texts(self) -> tuple[str, str]:
        """Return what the command has printed, and close the files that hold it."""
        texts = []
        for file in (self.out, self.err):
            file.seek(0)
            texts.append(file.read().decode())
            file.close()
        return texts[0], texts[1]


def run(command: str, *words: str, folder: Path, environment: Mapping[str, str] | None = None) -> tuple[int, str, str]:
    """Run `densepred-<command> words` in a folder. Returns its exit code, its output and its errors."""
    return Started(command, words, folder, environment or {}).wait()


def _child(command: str, words: Sequence[str], folder: Path, environment: Mapping[str, str], out: int, err: int) -> int:
    """Make the process as one that begins, and run the command as `python -m` does."""
    gc.freeze()  # what earlier tests left may have threads, and its destructor would wait for those in vain
    os.dup2(out, 1)
    os.dup2(err, 2)
    sys.stdout = sys.__stdout__ = os.fdopen(1, "w", buffering=1, closefd=False)
    sys.stderr = sys.__stderr__ = os.fdopen(2, "w", buffering=1, closefd=False)
    os.environ.update(environment)
    os.chdir(folder)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    warnings.resetwarnings()
    for ignored in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
        warnings.simplefilter("ignore", ignored)
    GlobalHydra.instance().clear()
    name = module(command)
    sys.argv = [name, *words]
    sys.modules.pop(name, None)
    code = 0
    try:
        runpy.run_module(name, run_name="__main__", alter_sys=True)
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code
