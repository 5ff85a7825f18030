"""A job of a sweep that has ended: its exit code and the scores of its summary.json, or metrics.json."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus

from densepred.errors import UserError
from densepred.rundir import pruning


@dataclass
class SweepJob:
    """One job of a sweep and its result."""

    number: int
    overrides: list[str]
    folder: Path
    code: int
    seconds: float
    value: float | None
    scores: dict[str, Any] = field(default_factory=dict)  # all of its summary.json, by name
    monitor: str | None = None
    mode: str | None = None
    pruned: bool = False

    @property
    def ending(self) -> str:
        if self.pruned:
            return "pruned"
        return "done" if self.code == 0 else f"signal {-self.code}" if self.code < 0 else f"exit {self.code}"


class Result(JobReturn):
    """A JobReturn that raises a failure without printing about it."""

    @property
    def return_value(self) -> Any:
        if self.status is JobStatus.FAILED:
            raise self._return_value
        return self._return_value

    @return_value.setter
    def return_value(self, value: Any) -> None:
        self._return_value = value


def ended(number: int, overrides: Sequence[str], folder: Path, code: int, seconds: float) -> SweepJob:
    """Return the job that has ended in `folder`, with the scores that it has written there."""
    found = _summary(folder)
    monitor, mode = found.get("monitor"), found.get("mode")
    pruned = code == 0 and pruning.asked(folder)
    return SweepJob(number, list(overrides), folder, code, seconds, _best(found), scores(found), monitor, mode, pruned)


def result(job: SweepJob, failed: int, count: int) -> JobReturn:
    """Return what Hydra's sweepers read: the best score, or an error that counts the failed jobs."""
    result = Result(overrides=job.overrides, working_dir=str(job.folder))
    result.status = JobStatus.FAILED if job.code else JobStatus.COMPLETED
    error = UserError(f"{failed} of {count} jobs failed; see the table and messages above, and train.log if it stayed")
    result.return_value = error if job.code else job.value
    return result


def scores(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return all scores by name: `parameters`, `last/miou`, `probe/checkerboard`; bare for the best weights."""
    parts = {key: value for key, value in summary.items() if isinstance(value, dict)}
    inside = {f"{key}/{name}": value for key, part in parts.items() for name, value in part.items()}
    return {**parts.get("best", {}), **inside, **{k: v for k, v in summary.items() if k not in parts}}


def _summary(folder: Path) -> dict[str, Any]:
    """Return the summary of a training; of an evaluation its scores, as if they were those of the best weights."""
    if found := _read(folder / "summary.json"):
        return found
    found = _read(folder / "metrics.json")
    facts = {key: found[key] for key in ("monitor", "mode", "step") if key in found}
    return {**facts, "best": found["metrics"]} if isinstance(found.get("metrics"), dict) else {}


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _best(summary: Mapping[str, Any]) -> float | None:
    """Return the best value of the monitored metric."""
    try:
        return float(summary["best"][summary["monitor"]])
    except (ValueError, KeyError, TypeError):
        return None
