"""Facts that a command prints before it has composed its configuration."""

from __future__ import annotations

import os
import sys


def say(text: str) -> None:
    """Print a line, in the first process only."""
    if int(os.environ.get("RANK", os.environ.get("SLURM_PROCID", "0"))) == 0:
        print(f"note: {text}", file=sys.stderr, flush=True)
