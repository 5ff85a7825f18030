"""Facts that a command prints before it has composed its configuration."""

from __future__ import annotations

import sys

from densepred.process.role import is_first


def say(text: str) -> None:
    """Print a line, in the first process only."""
    if is_first():
        print(f"note: {text}", file=sys.stderr, flush=True)
