"""Facts that a command prints before it has composed its configuration."""

from __future__ import annotations

import os
import sys


def is_first() -> bool:
    """Return True in the first process of a job, as launchers number them; known without torch."""
    return int(os.environ.get("RANK", os.environ.get("SLURM_PROCID", "0"))) == 0


def say(text: str) -> None:
    """Print a line, in the first process only."""
    if is_first():
        print(f"note: {text}", file=sys.stderr, flush=True)
