"""`--multirun`: each job in a process of its own, one after the other; a job that fails does not stop the others."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, JobStatus, filter_overrides
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from densepred.cli import pool
from densepred.cli.ledger import Entry, Ledger, identity
from densepred.cli.pool import Place, Running
from densepred.cli.rows import aligned, markdown
from densepred.cli.rows import shown as score_text
from densepred.errors import UserError
from densepred.home import expand
from densepred.process.parent import PARENT
from densepred.process.stop import Stopped
from densepred.rundir import secrets

CLAIMED = "DENSEPRED_CLAIMED"
"""Environment variable of the jobs of a sweep: their folders exist already."""

TABLE = "table.md"

RESUMABLE = 75
"""The exit code of a job that was stopped and can be resumed."""


FULL = "HYDRA_FULL_ERROR"
TYPED = os.environ.get(FULL)
"""The variable before a command runs."""


def register() -> None:
    """Register the launcher with Hydra as `hydra/launcher=process`."""
    ConfigStore.instance().store(
        group="hydra/launcher",
        name="process",
        node={"_target_": "hydra_plugins.densepred_processes.Processes"},
        provider="densepred",
    )


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

    @property
    def ending(self) -> str:
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


class Processes(Launcher):
    """Hydra's launcher of jobs. It returns failures as values, so that sweepers that search can go on after one."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.config, self.task_function = hydra_context, config, task_function
        self.jobs: list[SweepJob] = []
        self.stopped = False
        self.cut: list[SweepJob] = []  # jobs that a signal has stopped
        self.columns: dict[str, None] = {}  # those that any job asks for, in order

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        sweep = expand(self.config.hydra.sweep.dir)
        sweep.mkdir(parents=True, exist_ok=True)
        (sweep / "multirun.yaml").unlink(missing_ok=True)  # Hydra's copy holds raw overrides, secrets included
        batch = self._ran(job_overrides, initial_job_idx)
        self.jobs += batch
        rows = cells(self.jobs, list(self.columns))
        print(aligned(rows), flush=True)
        sweep.mkdir(parents=True, exist_ok=True)  # jobs that were refused have removed their folders and this one
        (sweep / TABLE).write_text(markdown(rows), encoding="utf-8")
        print(f"  table in {sweep / TABLE}", flush=True)
        print(f"  {winner(self.jobs)}", flush=True)
        if self.stopped:
            text = unfinished(sweep, self.cut, job_overrides[len(batch) :])
            raise Stopped(text, resumable=any(job.code == RESUMABLE for job in self.cut))
        failed = [job for job in batch if job.code]
        return [result(job, len(failed), len(batch)) for job in batch]

    def _ran(self, job_overrides: Sequence[Sequence[str]], first: int) -> list[SweepJob]:
        """Run jobs until all have ended, or a signal has stopped them; return those that ran or were skipped."""
        configs = [self._composed(number, overrides) for number, overrides in enumerate(job_overrides, first)]
        count = max(int(OmegaConf.select(config, "sweep.parallel") or 1) for config in configs)
        batch: list[SweepJob] = []
        together = min(count, len(configs)) > 1
        free = _places(count, configs) if together else [{}]
        starts = [
            partial(self._start, first + i, list(words), config, batch, together)
            for i, (words, config) in enumerate(zip(job_overrides, configs, strict=True))
        ]
        self.stopped = not pool.run(starts, free)
        return sorted(batch, key=lambda job: job.number)

    def _composed(self, number: int, overrides: Sequence[str]) -> DictConfig:
        config = self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))
        with open_dict(config):
            config.hydra.job.id = config.hydra.job.num = number
        self.columns |= dict.fromkeys(OmegaConf.select(config, "sweep.columns") or ())
        return config

    def _start(
        self, number: int, overrides: list[str], config: DictConfig, batch: list[SweepJob], together: bool, place: Place
    ) -> Running | None:
        """Start a job; None, and its result in `batch`, if it has ended before.

        With `together` its output goes to a file.
        """
        shown = list(filter_overrides(overrides))
        sweep = expand(config.hydra.sweep.dir)
        folder, ledger, own = sweep / str(config.hydra.sweep.subdir), Ledger(sweep), identity(config)
        former = ledger.former(folder, own)
        label = f"job {number}: {' '.join(map(secrets.redacted, shown))} -> {folder}"
        retry = bool(OmegaConf.select(config, "sweep.retry"))
        if former and (former.state == "done" or (former.state == "failed" and not retry)):
            again = "" if former.state == "done" else f", exit code {former.code}; sweep.retry=true runs it again"
            print(f"{label}: {former.state} before, skipped{again}", flush=True)
            batch.append(_job(number, shown, folder, former.code or 0, former.seconds))
            return None
        folder.mkdir(parents=True, exist_ok=True)
        print(f"{label}{': goes on' if former else ''}", flush=True)
        resume = ["trainer.resume=auto"] if former and "trainer" in config else []
        begin = time.monotonic()
        words = [secrets.redacted(word) for word in shown]
        at = os.path.relpath(folder, sweep)
        ledger.write(Entry(number, words, own, "begun", at))
        command = [*_program(), *overrides, *resume, _quoted("hydra.run.dir", folder)]
        output = folder.with_name(f"{folder.name}.log") if together else None
        process = pool.start(command, {**_environment(), **place}, output)

        def end(code: int, stopping: bool) -> None:
            job = _job(number, shown, folder, code, time.monotonic() - begin)
            state = "done" if code == 0 else "stopped" if code == RESUMABLE or stopping else "failed"
            ledger.write(Entry(number, words, own, state, at, code, job.value, job.seconds))
            batch.append(job)
            if state == "stopped" and stopping:
                self.cut.append(job)
            if output is not None:
                score = f", {job.monitor} {score_text(job.value)}" if job.value is not None else ""
                print(
                    f"job {number}: {job.ending} after {job.seconds:.0f} s{score}{pool.why(code, output)}", flush=True
                )

        return Running(process, end)


def _places(count: int, configs: Sequence[DictConfig]) -> list[Place]:
    """Return the places of `sweep.parallel=count`, and tell them."""
    import torch

    each = max(int(OmegaConf.select(config, "trainer.devices") or 1) for config in configs)
    free = pool.places(count, each, torch.cuda.device_count())
    told = ", ".join(dict.fromkeys(f"{name}={value}" for place in free for name, value in place.items()))
    print(f"{count} jobs at a time: {told}; their output is in the file .log beside each folder", flush=True)
    return free


def unfinished(sweep: Path, jobs: Sequence[SweepJob], rest: Sequence[Sequence[str]]) -> str:
    """Tell how to go on with a sweep that was stopped in `jobs`; `rest` are the overrides of those not begun."""
    again = f"type its command again with hydra.sweep.dir={sweep}"
    one = jobs[0] if len(jobs) == 1 else None
    first = f"densepred-train trainer.resume={one.folder}" if one and one.code == RESUMABLE else again
    words = [" ".join(map(secrets.redacted, filter_overrides(overrides))) for overrides in rest]
    later = f"; not begun: {', '.join(f'[{text}]' for text in words)}" if words else ""
    return f"job {', '.join(str(job.number) for job in jobs) or '-'}: {first}{later}"


def _job(number: int, overrides: list[str], folder: Path, code: int, seconds: float) -> SweepJob:
    found = _summary(folder)
    monitor, mode = found.get("monitor"), found.get("mode")
    return SweepJob(number, overrides, folder, code, seconds, _best(found), scores(found), monitor, mode)


def _environment() -> dict[str, str]:
    """Return the environment of a job: HYDRA_FULL_ERROR as the user has it, not as `command.run` sets it."""
    names = {name: value for name, value in os.environ.items() if name != FULL}
    return {**names, CLAIMED: "1", PARENT: str(os.getpid()), **({} if TYPED is None else {FULL: TYPED})}


def _program() -> list[str]:
    """Return the command that was typed, without its overrides and without --multirun."""
    spec = sys.modules["__main__"].__spec__
    program = ["-m", spec.name] if spec is not None else [sys.argv[0]]
    flags, words = [], iter(sys.argv[1:])
    for word in words:
        if word in ("--config-dir", "-cd", "--config-name", "-cn", "--config-path", "-cp"):
            flags += [word, next(words, "")]
        elif word.startswith(("--config-dir=", "--config-name=", "--config-path=")):
            flags.append(word)
    return [sys.executable, *program, *flags]


def _quoted(key: str, path: Path) -> str:
    text = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'{key}="{text}"'


def _summary(folder: Path) -> dict[str, Any]:
    try:
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return summary if isinstance(summary, dict) else {}


def _best(summary: Mapping[str, Any]) -> float | None:
    """Return the best value of the monitored metric."""
    try:
        return float(summary["best"][summary["monitor"]])
    except (ValueError, KeyError, TypeError):
        return None


def scores(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return all scores by name: `parameters`, `last/miou`, `probe/checkerboard`; bare for the best weights."""
    parts = {key: value for key, value in summary.items() if isinstance(value, dict)}
    inside = {f"{key}/{name}": value for key, part in parts.items() for name, value in part.items()}
    return {**parts.get("best", {}), **inside, **{k: v for k, v in summary.items() if k not in parts}}


def result(job: SweepJob, failed: int, count: int) -> JobReturn:
    result = Result(overrides=job.overrides, working_dir=str(job.folder))
    result.status = JobStatus.FAILED if job.code else JobStatus.COMPLETED
    error = UserError(f"{failed} of {count} jobs failed; see the table above and train.log in their folders")
    result.return_value = error if job.code else job.value
    return result


def winner(jobs: Sequence[SweepJob]) -> str:
    """Name the best job, its score and its own overrides; jobs that failed count as bad, and are named."""
    failed = [str(job.number) for job in jobs if job.code]
    bad = f"; failed: job {', '.join(failed)}" if failed else ""
    done = [job for job in jobs if job.code == 0 and job.value is not None]
    names = {(job.monitor, job.mode) for job in done}
    if not done:
        return f"no job has a best score{bad}"
    if len(names) > 1 or done[0].mode not in ("max", "min"):
        return f"no job is the best: they are compared by {', '.join(sorted(str(name) for name, _ in names))}{bad}"
    pick = max if done[0].mode == "max" else min
    best = pick(done, key=lambda job: job.value or 0.0)
    ties = [str(job.number) for job in done if job.value == best.value and job is not best]
    equal = f" (as good: job {', '.join(ties)})" if ties else ""
    own = " ".join(secrets.redacted(word) for word in best.overrides if word not in _shared(jobs))
    return f"best of {len(jobs)} by {best.monitor}: job {best.number}, {own}, {score_text(best.value)}{equal}{bad}"


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
        rows.append([str(job.number), own, job.ending, *map(score_text, values), f"{job.seconds:.0f}", str(job.folder)])
    return rows
