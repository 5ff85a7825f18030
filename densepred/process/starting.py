"""Signals while a command starts and while Python ends: one line or none, where Python would print a traceback.

A command imports for half a second before its `StopFlag` takes signals. So this module imports little, and
`densepred/__init__.py` calls it first.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

from densepred.process import role, signals, standard_error

INTERRUPTED = 130
"""Exit code of a command that was stopped and has nothing to resume."""

AGAIN = "nothing was kept; type the command again"

RARELY = (200_000, 50, 100)
"""Thresholds of the garbage collector during imports. They make millions of objects that stay, and Python looks through
them again and again: a seventh of the time that torch takes, a fifth on a busy machine."""

_ended: int | None = None  # the exit code, once the work is done
_usual: tuple[int, int, int] | None = None  # thresholds of the garbage collector before the imports


def guard(words: Sequence[str]) -> None:
    """Take the signals if `words`, those of the interpreter, start a command of densepred.

    Where memory or processes are limited, a second process tells how the command ended. Garbage is collected rarely
    until `imported` is called.
    """
    global _usual
    if not is_command(words):
        return
    _usual = gc.get_threshold()
    gc.set_threshold(*RARELY)
    signals.take(_end)
    from densepred.process import limits  # after the signals are taken: its own imports are long

    if limits.tight():
        from densepred.process import supervisor

        supervisor.supervise()


def imported() -> None:
    """Collect garbage as usual again; what the imports have left is never looked through, nor copied by workers."""
    global _usual
    if _usual is not None:
        gc.set_threshold(*_usual)
        gc.freeze()
        _usual = None


def is_command(words: Sequence[str]) -> bool:
    """Return True for `python -m densepred.<command>` and for the script `densepred-<command>`.

    Processes that multiprocessing starts are none: their parent tells of the signal.
    """
    rest = iter(words[1:])
    for word in rest:
        if word in ("-X", "-W"):
            next(rest, None)
        elif word == "-m":
            return next(rest, "").startswith("densepred.")
        elif not word.startswith("-"):
            return os.path.basename(word).startswith("densepred-")
        elif word == "-c":
            return False
    return False


def done(code: int) -> None:
    """Note that the work is done: a signal while Python ends, which takes a second with torch, ends it at once."""
    global _ended
    from densepred.process import supervisor

    supervisor.told()
    sys.stdout.flush()
    sys.stderr.flush()
    _ended = code


def _end(number: int, frame: FrameType | None) -> None:
    if _ended is not None:
        os._exit(_ended)
    if role.tells():
        standard_error.write(f"stopped by {signal.Signals(number).name}; {AGAIN}")
    os._exit(INTERRUPTED)
