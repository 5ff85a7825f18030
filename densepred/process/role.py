"""The role of this process among those of its command, known without torch."""

from __future__ import annotations

import os

CLAIMED = "DENSEPRED_CLAIMED"
"""Environment variable of the jobs of a sweep: their folders exist already."""


def is_first() -> bool:
    """Return True in the first process of a job, as launchers number them."""
    number = os.environ.get("RANK", os.environ.get("SLURM_PROCID", "0"))
    return not number.isdecimal() or int(number) == 0  # `ranks.require_place` refuses what is no number


def tells() -> bool:
    """Return True if this process tells of a signal: the first of a job. A sweep tells of its jobs on one line."""
    return is_first() and CLAIMED not in os.environ
