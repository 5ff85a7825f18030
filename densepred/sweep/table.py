"""The table of a sweep, aligned for the terminal and as Markdown, and its best job."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from densepred.rundir import secrets, validated
from densepred.sweep.job import SweepJob


def winner(jobs: Sequence[SweepJob], shared: Collection[str] | None = None) -> str:
    """Name the best job, its score and its own overrides; jobs that failed count as bad, and are named.

    shared: overrides that are left out; those of all `jobs` by default
    """
    shared = _shared(jobs) if shared is None else shared
    failed = [str(job.number) for job in jobs if job.code]
    bad = f"; failed: job {', '.join(failed)}" if failed else ""
    done = [job for job in jobs if job.code == 0 and job.value is not None and not job.pruned]
    names = {(job.monitor, job.mode) for job in done}
    if not done:
        return f"no job has a best score{bad}"
    if len(names) > 1 or done[0].mode not in ("max", "min"):
        return f"no job is the best: they are compared by {', '.join(sorted(str(name) for name, _ in names))}{bad}"
    pick = max if done[0].mode == "max" else min
    best = pick(done, key=lambda job: job.value or 0.0)
    ties = [str(job.number) for job in done if job.value == best.value and job is not best]
    equal = f" (as good: job {', '.join(ties)})" if ties else ""
    own = " ".join(secrets.redacted(word) for word in best.overrides if word not in shared)
    job = f"job {best.number}, {own}" if own else f"job {best.number}"
    return f"best of {len(jobs)} by {best.monitor}: {job}, {shown(best.value)}{equal}{bad}"


def unlike(jobs: Sequence[SweepJob]) -> list[str]:
    """Tell of jobs with scores of one name that were measured on other data, or otherwise, than those of the first."""
    scored = [job for job in jobs if job.code == 0 and job.value is not None]
    groups = {job.monitor: [one for one in scored if one.monitor == job.monitor] for job in scored}
    pairs = [[(f"job {job.number}", validated.read(job.folder)) for job in group] for group in groups.values()]
    return [sentence for group in pairs for sentence in validated.sentences(group)]


def _shared(jobs: Sequence[SweepJob]) -> set[str]:
    """Return the overrides that all jobs have."""
    return set.intersection(*(set(job.overrides) for job in jobs)) if len(jobs) > 1 else set()


def cells(jobs: Sequence[SweepJob], columns: Sequence[str] = ()) -> list[list[str]]:
    """Return a header and one row per job, without the overrides that all jobs share; secrets are hidden."""
    shared = _shared(jobs)
    rows = [["job", "overrides", "ended", *(columns or ["best"]), "seconds", "folder"]]
    for job in jobs:
        own = " ".join(secrets.redacted(word) for word in job.overrides if word not in shared)
        values = [job.scores.get(name) for name in columns] if columns else [job.value]
        rows.append([str(job.number), own, job.ending, *map(shown, values), f"{job.seconds:.0f}", str(job.folder)])
    return rows


def shown(value: Any) -> str:
    """Format a score: four decimals, two digits if small, two decimals if large; `-` if absent."""
    if isinstance(value, float):
        size = abs(value)
        return f"{value:.1e}" if 0 < size < 0.001 else f"{value:.4f}" if size < 10 else f"{value:.2f}"
    return "-" if value is None else str(value)


def aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(f"{cell:{w}}" for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def markdown(rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:], ""])
