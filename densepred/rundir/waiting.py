"""Lines about long work without a count, such as one call of a library."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from typing import TextIO

from densepred.rundir.console import duration
from densepred.rundir.progress_bar import EVERY


@contextlib.contextmanager
def waiting(text: str, begin: bool = True, enabled: bool = True, to: TextIO | None = None) -> Iterator[None]:
    """Print `text` when the block begins, and again with the time it has taken every `EVERY` seconds until it ends.

    begin: False for work that is mostly short: then the first line comes after `EVERY` seconds
    to: where lines go, None for standard output
    """
    ended, begun = threading.Event(), time.monotonic()

    def show(line: str) -> None:
        print(f"  {line}", file=to or sys.stdout, flush=True)

    def go_on() -> None:
        while not ended.wait(EVERY):
            show(f"{text}  {duration(time.monotonic() - begun)}")

    if enabled and begin:
        show(text)
    thread = threading.Thread(target=go_on, name="waiting", daemon=True)
    if enabled:
        with contextlib.suppress(RuntimeError):  # no thread can be started: the work matters more than its lines
            thread.start()
    try:
        yield
    finally:
        ended.set()
        if thread.ident is not None:
            thread.join()
