"""Memory of the machine: what is free within the limits of a container, and what this process gives back."""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path
from typing import Any

MEMINFO = Path("/proc/meminfo")
GROUP = Path("/sys/fs/cgroup")
"""The control group of a container, version 2."""


def free_memory(meminfo: Path = MEMINFO, group: Path = GROUP) -> int | None:
    """Return the bytes of main memory that may still be taken: Linux's MemAvailable within the limit of the container.

    None on systems that do not tell.
    """
    if not meminfo.is_file():
        return None
    rows = dict(line.split(":", 1) for line in meminfo.read_text(encoding="ascii").splitlines() if ":" in line)
    if "MemAvailable" not in rows:
        return None
    free = int(rows["MemAvailable"].split()[0]) * 1024
    limit, used = group / "memory.max", group / "memory.current"
    if not limit.is_file() or not used.is_file():
        return free
    most = limit.read_text(encoding="ascii").strip()
    return min(free, max(0, int(most) - int(used.read_text(encoding="ascii")))) if most.isdigit() else free


def give_back() -> None:
    """Return freed memory to the system. Only glibc, the usual library of Linux, knows a call for it.

    Without it the heap grows with every small block that is kept between large ones that are freed: 100 KB per image
    of an evaluation were measured.
    """
    if (trim := _trim()) is not None:
        trim(0)


@cache
def _trim() -> Any:
    return getattr(ctypes.CDLL(None), "malloc_trim", None)
