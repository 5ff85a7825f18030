"""Processors that this process may use: by its affinity, and by the time that its control groups give."""

from __future__ import annotations

import math
import os

from densepred.process import control_group

THREADS = "OMP_NUM_THREADS"


def count() -> int:
    """Return the number of processors, at least 1; parts of one that a control group gives count as one."""
    found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    given = control_group.processors()
    return found if given is None else max(1, min(found, math.ceil(given)))


def use_threads(wanted: int | None) -> None:
    """Let torch use `wanted` threads. With None they stay, unless a control group gives time for fewer.

    More threads than that are halted in the middle of each operation, and the others wait for them.
    """
    import torch  # not at the start of a command

    if wanted:
        torch.set_num_threads(wanted)
    elif THREADS not in os.environ and control_group.processors() is not None:
        torch.set_num_threads(min(torch.get_num_threads(), count()))
