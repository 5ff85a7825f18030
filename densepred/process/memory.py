"""Free memory of the machine, as far as the limits of a container leave it to this process."""

from __future__ import annotations

from pathlib import Path

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
