"""Memory of the machine: what is free within the limits of a container, and what this process gives back."""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path
from typing import Any

from densepred.process import control_group

MEMINFO = Path("/proc/meminfo")


def free_memory(meminfo: Path = MEMINFO) -> int | None:
    """Return the bytes of main memory that may still be taken: Linux's MemAvailable within the limit of the container.

    None on systems that do not tell.
    """
    if not meminfo.is_file():
        return None
    rows = dict(line.split(":", 1) for line in meminfo.read_text(encoding="ascii").splitlines() if ":" in line)
    if "MemAvailable" not in rows:
        return None
    free = int(rows["MemAvailable"].split()[0]) * 1024
    left = control_group.memory_left()
    return free if left is None else min(free, left)


MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1
"""Parameters of glibc's mallopt, as malloc.h numbers them."""
LARGE = 2**30


def keep() -> None:
    """Keep the memory of freed tensors in this process, for the next ones. Only glibc knows a call for it.

    Otherwise blocks above 32 MB go back to the system at once, and each step gets them again page by page, filled with
    zeros: 90,000 page faults and a tenth of the time of a validation were measured. `give_back` returns kept memory.
    """
    if (set_option := getattr(_library(), "mallopt", None)) is not None:
        set_option(MMAP_THRESHOLD, LARGE)
        set_option(TRIM_THRESHOLD, 2 * LARGE - 1)


def give_back() -> None:
    """Return freed memory to the system. Only glibc, the usual library of Linux, knows a call for it.

    Without it the heap grows with every small block that is kept between large ones that are freed: 100 KB per image
    of an evaluation were measured.
    """
    if (trim := getattr(_library(), "malloc_trim", None)) is not None:
        trim(0)


@cache
def _library() -> Any:
    return ctypes.CDLL(None)
