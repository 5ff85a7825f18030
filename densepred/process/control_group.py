"""Limits of the control groups of this process: those of a container, a job of Slurm, a user's slice; versions 1 and 2.

The root that a container sees is mostly its own group. Elsewhere /proc/self/cgroup tells the path below the root. The
groups above it limit the process too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

V1_LIMIT, NO_LIMIT = "memory.limit_in_bytes", 2**60  # a group of version 1 without a limit holds 2^63 or so

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
            (V1_LIMIT, "memory.usage_in_bytes", "total_inactive_file"),
        ):
            limit, taken = _number(folder / most), _number(folder / used)
            if limit is not None and taken is not None:
                rows = dict(row.split(maxsplit=1) for row in _text(folder / "memory.stat").splitlines() if " " in row)
                left.append(max(0, limit - max(0, taken - int(rows.get(kept, 0)))))
    return min(left, default=None)


def memory_kills() -> dict[str, int]:
    """Return per group how many processes Linux has killed in it because memory ran out."""
    found = {}
    for folder in _folders("memory"):
        text = _text(folder / "memory.events") or _text(folder / "memory.oom_control")
        if (count := re.search(r"^oom_kill (\d+)$", text, re.MULTILINE)) is not None:
            found[str(folder)] = int(count[1])
    return found


def killed_since(before: Mapping[str, int]) -> str | None:
    """Return a sentence about processes that Linux has killed since `memory_kills` returned `before`; None if none.

    Groups that are new tell nothing: an earlier container may have had them under other names.
    """
    for folder, count in reversed(memory_kills().items()):  # the innermost first
        if count > before.get(folder, count):
            number, limit = count - before[folder], _limit(Path(folder))
            of = f", which is limited to {limit >> 20} MiB" if limit is not None else ""
            noun = "process" if number == 1 else "processes"
            return f"memory ran out: Linux killed {number} {noun} of the control group {folder}{of}"
    return None


def _limit(folder: Path) -> int | None:
    """Return the limit of a group's memory in bytes, also if a group above it sets it; None without one."""
    found = [_number(one / name) for one in (folder, *folder.parents) for name in ("memory.max", V1_LIMIT)]
    return min((limit for limit in found if limit is not None and limit < NO_LIMIT), default=None)


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
