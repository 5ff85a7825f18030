"""Standard output and standard error of a command: closed by the caller, on a full disk, or in a terminal of ASCII."""

from __future__ import annotations

import io
import os
import sys

from densepred import output
from densepred.errors import system_error


def prepare() -> None:
    """Make both streams ready: letters that they lack are escaped, closed ones lead nowhere.

    A file that is opened later would take the number of a closed stream, and libraries would print into it.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(number)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - as long as the process
        elif isinstance(stream, io.TextIOWrapper):  # a terminal without the letters of a class name must not end a run
            stream.reconfigure(errors="backslashreplace")
    output.install()


def flushed(code: int) -> int:
    """Write out what was printed; return the exit code, 2 if the output of a command that was done is lost."""
    sys.stdout.flush()
    error = sys.stdout.taken_error() if isinstance(sys.stdout, output.Screen) else None
    if error is None:
        return code
    error.filename = "standard output"
    print(f"error: {system_error(error)}", file=sys.stderr)
    return code or 2
