"""Limits of the control groups of this process: those of a container, a job of Slurm, a user's slice; versions 1 and 2.

The root that a container sees is mostly its own group. Elsewhere /proc/self/cgroup tells the path below the root. The
groups above it limit the process too.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

ROOT = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")


def memory_left() -> int | None:
    """Return the bytes of memory that the groups leave; None without a limit.

    Pages of files that were read count as used until others need them, so those that are inactive are free.
    """
    left: list[int] = []
    for folder in _folders("memory"):
        for most, used, kept in (
            ("memory.max", "memory.current", "inactive_file"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ):
            limit, taken = _number(folder / most), _number(folder / used)
            if limit is not None and taken is not None:
                rows = dict(row.split(maxsplit=1) for row in _text(folder / "memory.stat").splitlines() if " " in row)
                left.append(max(0, limit - max(0, taken - int(rows.get(kept, 0)))))
    return min(left, default=None)


def processors() -> float | None:
    """Return how many processors the groups give time for: 1.5 by `docker run --cpus 1.5`. None without a limit."""
    found: list[float] = []
    for folder in _folders("cpu"):
        quota, _, period = _text(folder / "cpu.max").partition(" ")
        former = _text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us")
        for time, each in ((quota, period), former):
            if time.isdigit() and each.isdigit() and int(each):  # "max" and -1: no limit
                found.append(int(time) / int(each))
    return min(found, default=None)


def processes() -> list[tuple[int, int]]:
    """Return per group the most processes and threads, and those that it has."""
    counts = ((_number(one / "pids.max"), _number(one / "pids.current")) for one in _folders("pids"))
    return [(most, used) for most, used in counts if most is not None and used is not None]


def _folders(controller: str) -> Iterator[Path]:
    """Yield the folders of the groups, from the root on; those that the path names and that are absent are left out."""
    tops = [(ROOT, "/"), (ROOT / controller, "/")]
    for line in _text(OWN).splitlines():
        _, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        if not names or controller in names.split(","):
            tops.append((ROOT / controller if names else ROOT, path))
    seen: set[Path] = set()
    for top, path in tops:
        parts = [part for part in PurePosixPath(path).parts if part not in ("/", "..")]
        for count in range(len(parts) + 1):
            folder = top.joinpath(*parts[:count])
            if folder not in seen and folder.is_dir():
                seen.add(folder)
                yield folder


def _number(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text.isdigit() else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
