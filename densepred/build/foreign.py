"""The import of a module that is not ours, which may fail, end the process, crash or hang."""

from __future__ import annotations

import _thread
import contextlib
import faulthandler
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from densepred.errors import UserError, exhausted
from densepred.process import standard_error, supervisor
from densepred.process.stop import Stopped

SLOW = 30.0
"""Seconds of an import after which a line names it; the import goes on."""


@contextmanager
def importing(path: str, at: str) -> Iterator[None]:
    """Guard the import of `path`, which the setting `at` names.

    Raises UserError if the module raises an error, or asks for the end of the process. What the caller explains itself
    passes: a module or a name that is absent. A crash shows the line of Python by `faulthandler`.
    """
    if path.partition(".")[0] == "densepred" or path.rpartition(".")[0] in sys.modules:
        yield
        return
    try:
        with supervisor.during(f"{at}: {path} was being imported"), _named(path, at), _crashes_shown():
            yield
    except (ModuleNotFoundError, AttributeError, UserError, KeyboardInterrupt, Stopped):
        raise
    except SystemExit as error:
        why = f"it calls exit, with code {error.code}"
        raise UserError(f"{at}: {path}: its module cannot be imported ({why}); remove the call") from error
    except BaseException as error:
        if isinstance(error, Exception) and (short := exhausted(error)) is not None:
            raise short from error
        why = f"{type(error).__name__}: {error}"
        raise UserError(f"{at}: {path}: its module cannot be imported ({why}); correct it") from error


@contextmanager
def _named(path: str, at: str) -> Iterator[None]:
    """Tell of an import that takes long, by a thread."""
    ended = threading.Event()
    # A Thread's start would wait for ever itself if the thread cannot begin.
    with contextlib.suppress(RuntimeError, MemoryError):
        _thread.start_new_thread(_tell, (ended, path, at))
    try:
        yield
    finally:
        ended.set()


def _tell(ended: threading.Event, path: str, at: str) -> None:
    if not ended.wait(SLOW):
        text = f"{at}: {path}: its module is still being imported after {SLOW:g} s; Ctrl-C stops the command"
        standard_error.write(f"warning: {text}")


@contextmanager
def _crashes_shown() -> Iterator[None]:
    if faulthandler.is_enabled() or supervisor.watches():  # the second process tells of a crash
        yield
        return
    with contextlib.suppress(OSError, RuntimeError):  # standard error may be closed
        faulthandler.enable(2)
    try:
        yield
    finally:
        faulthandler.disable()
