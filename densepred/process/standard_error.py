"""Lines on standard error from handlers of signals, threads and forks, where Python's streams may be locked."""

from __future__ import annotations

import contextlib
import os


def write(line: str) -> None:
    """Write a line; a terminal shows ^C before it. A stream that is closed or has no reader holds up no end."""
    with contextlib.suppress(OSError):
        text = f"\n{line}\n" if os.isatty(2) else f"{line}\n"
        os.write(2, text.encode(errors="backslashreplace"))
