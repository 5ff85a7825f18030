"""`--multirun`: each job in a process of its own; a job that fails does not stop the others."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, filter_overrides
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from densepred.home import expand, typed
from densepred.process import control_group
from densepred.process.parent import PARENT
from densepred.process.role import CLAIMED
from densepred.process.starting import INTERRUPTED
from densepred.process.stop import STOPPED, Stopped
from densepred.rundir import secrets, variables
from densepred.sweep import pool, record, remarks
from densepred.sweep.job import SweepJob, ended, result
from densepred.sweep.ledger import Entry, Ledger, alone, identity
from densepred.sweep.live import Live
from densepred.sweep.pool import Place, Process, Running
from densepred.sweep.table import aligned, cells, markdown, shown, winner

TABLE = "table.md"
SCHEMA = "Settings"
"""End of the names of schemas, as in TrainSettings."""

LISTED = 3
"""Number of jobs not begun that a line shows by their overrides."""

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


@dataclass(frozen=True)
class Planned:
    """A job that may begin, with its composed config."""

    number: int
    overrides: list[str]
    config: DictConfig

    @property
    def words(self) -> list[str]:
        """Its overrides for people, secrets hidden."""
        return [secrets.redacted(word) for word in filter_overrides(self.overrides)]

    @property
    def monitor(self) -> str | None:
        """The score that selects its best weights, if it trains."""
        return OmegaConf.select(self.config, "trainer.monitor") or OmegaConf.select(self.config, "task.monitor")

    @property
    def folder(self) -> Path:
        return expand(self.config.hydra.sweep.dir) / str(self.config.hydra.sweep.subdir)


class Processes(Launcher):
    """Hydra's launcher of jobs. It returns failures as values, so that sweepers that search can go on after one."""

    always_logged = False  # whether jobs print into a file where only one runs at a time too
    resumes = False  # whether a job may be started a second time by others, and then goes on

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.config, self.task_function = hydra_context, config, task_function
        self.jobs: list[SweepJob] = []
        self.cut: list[SweepJob] = []  # jobs that a signal has stopped
        self.columns: dict[str, None] = {}  # those that any job asks for, in order
        self.running: dict[int, Planned] = {}
        self.live = Live(None, self.jobs)
        self.look: Callable[[], object] = lambda: None  # called now and then while jobs run
        self.told: Callable[[SweepJob], object] = lambda job: None  # called at the end of each job

    @property
    def folder(self) -> Path:
        return expand(self.config.hydra.sweep.dir)

    @property
    def command(self) -> str:
        """The name of the command, such as "train"; a config of the user's own may have any name."""
        schema = getattr(OmegaConf.get_type(self.config), "__name__", "")
        return schema.removesuffix(SCHEMA).lower() if schema.endswith(SCHEMA) else self.config.hydra.job.config_name

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        plans, known = list[Planned](), len(self.jobs)
        with self.resumable(plans):
            plans += [self.planned(number, words) for number, words in enumerate(job_overrides, initial_job_idx)]
            complete = self.run(plans, [plan.config for plan in plans])
            batch = sorted(self.jobs[known:], key=lambda job: job.number)
            self.jobs[known:] = batch
            self.close()
            if not complete:
                raise Stopped
        remarks.tell_left(self.config, self.folder, [plan.folder for plan in plans])
        failed = [job for job in batch if job.code]
        return [result(job, len(failed), len(batch)) for job in batch]

    def planned(self, number: int, overrides: Sequence[str]) -> Planned:
        """Return a job with its config, composed from the command's and its own overrides."""
        config = self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))
        with open_dict(config):
            config.hydra.job.id = config.hydra.job.num = number
        self.columns |= dict.fromkeys(OmegaConf.select(config, "sweep.columns") or ())
        return Planned(number, list(overrides), config)

    def run(self, plans: Iterable[Planned], configs: Sequence[DictConfig]) -> bool:
        """Run jobs as they come; what they end with is in `jobs`. Return False if a signal stopped them.

        configs: those that decide how many jobs run at a time, and on how many devices
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with alone(self.folder):
            return self._run(plans, configs)

    def _run(self, plans: Iterable[Planned], configs: Sequence[DictConfig]) -> bool:
        (self.folder / "multirun.yaml").unlink(missing_ok=True)  # Hydra's copy holds raw overrides, secrets included
        record.write(self.folder, self.command, sys.argv[1:])
        free = self.places(configs)
        logged = len(free) > 1 or self.always_logged
        self.live = Live(len(plans) if isinstance(plans, Sequence) else None, self.jobs)
        try:
            return pool.run(self._starts(plans, logged), free, lambda: self._look(logged))
        finally:
            self.live.clear()

    def _look(self, logged: bool) -> None:
        self.look()
        if logged:  # else the job that runs has the terminal
            self.live.look()

    def places(self, configs: Sequence[DictConfig]) -> list[Place]:
        """Return a place for each job that may run at a time."""
        return _places(configs)

    def begin(self, command: Sequence[str], place: Place, output: Path | None) -> Process:
        """Start a job."""
        return pool.start(command, {**_environment(), **place, PARENT: str(os.getpid())}, output)

    def close(self) -> None:
        """Print the table and the best job, and write the table into the folder of the sweep."""
        rows = cells(self.jobs, list(self.columns))
        print(aligned(rows), flush=True)
        self.folder.mkdir(parents=True, exist_ok=True)  # jobs that were refused have removed their folders and this one
        (self.folder / TABLE).write_text(markdown(rows), encoding="utf-8")
        print(f"  table in {self.folder / TABLE}", flush=True)
        print(f"  {winner([job for job in self.jobs if job not in self.cut])}", flush=True)
        for sentence in remarks.of(self.jobs):
            print(f"  {sentence}", flush=True)

    @contextmanager
    def resumable(self, plans: Sequence[Planned] = ()) -> Iterator[None]:
        """Give a stop inside the block the line on how to go on with the sweep, and on the `plans` not begun."""
        try:
            yield
        except Stopped as reason:
            raise self._stopped(plans) from reason

    def _stopped(self, plans: Sequence[Planned]) -> Stopped:
        """Return the stop of the sweep: it can be resumed as soon as one of its jobs has begun."""
        if record.missing(self.folder) is not None:
            return Stopped()
        where = f"job {', '.join(str(job.number) for job in self.cut)}: " if self.cut else ""
        begun = {job.number for job in self.jobs}
        rest = [f"[{' '.join(plan.words)}]" for plan in plans if plan.number not in begun]
        more = f" and {len(rest) - LISTED} more" if len(rest) > LISTED else ""
        later = f"; not begun: {', '.join(rest[:LISTED])}{more}" if rest else ""
        again = f"resume the sweep with: {self._resume}"
        return Stopped(f"{where}{again}{later}", resumable=True)

    @property
    def _resume(self) -> str:
        """The command that goes on with the sweep."""
        return f"densepred-{self.command} {typed(record.RESUME, self.folder)}"

    def _starts(self, plans: Iterable[Planned], together: bool) -> Iterator[Callable[[Place], Running | None]]:
        for plan in plans:
            yield lambda place, plan=plan: self._start(plan, place, together)

    def _start(self, plan: Planned, place: Place, together: bool) -> Running | None:
        """Start a job; None, with its result in `jobs`, if it has ended before.

        With `together` its output goes to a file.
        """
        ledger, own, folder = Ledger(self.folder), identity(plan.config), plan.folder
        former = ledger.former(folder, own, variables.names(plan.config))
        label = f"job {plan.number}: {' '.join(plan.words)} -> {folder}"
        retry = bool(OmegaConf.select(plan.config, "sweep.retry"))
        if former and (former.state in ("done", "pruned") or (former.state == "failed" and not retry)):
            again = "" if former.state != "failed" else f", exit code {former.code}; sweep.retry=true runs it again"
            self.live.say(f"{label}: {former.state} before, skipped{again}")
            self.jobs.append(ended(plan.number, _own(plan), folder, former.code or 0, former.seconds))
            self.told(self.jobs[-1])
            return None
        folder.mkdir(parents=True, exist_ok=True)
        self.live.say(f"{label}{': goes on' if former else ''}")
        resume = ["trainer.resume=auto"] if (former or self.resumes) and "trainer" in plan.config else []
        entry = Entry(plan.number, plan.words, own, "begun", os.path.relpath(folder, self.folder))
        ledger.write(entry)
        command = [*_program(), *plan.overrides, *resume, record.quoted("hydra.run.dir", folder)]
        output = folder.with_name(f"{folder.name}.log") if together else None
        process = self.begin(command, place, output)
        self.running[plan.number] = plan
        self.live.began(plan.number, plan.words, plan.monitor, folder)
        begin, kills = time.monotonic(), control_group.memory_kills()

        def end(code: int, stopping: bool) -> None:
            self._end(plan, entry, ledger, output, code, time.monotonic() - begin, stopping)
            if code == -signal.SIGKILL and (known := control_group.killed_since(kills)) is not None:
                self.live.say(f"job {plan.number}: {known}; lower data.batch_size, data.crop or sweep.parallel")

        return Running(process, end)

    def _end(
        self,
        plan: Planned,
        entry: Entry,
        ledger: Ledger,
        output: Path | None,
        code: int,
        seconds: float,
        stopping: bool,
    ) -> None:
        """Note the end of a job; with `stopping` it was asked to end."""
        del self.running[plan.number]
        self.live.ended(plan.number)
        job = ended(plan.number, _own(plan), plan.folder, code, seconds)
        alone = not stopping and not job.pruned and code in (STOPPED, INTERRUPTED)
        stopped = alone or (stopping and code != 0)
        state = "pruned" if job.pruned else "stopped" if stopped else "failed" if code else "done"
        ledger.write(entry.ended(state, code, job.value, seconds))
        self.jobs.append(job)
        if state == "stopped" and stopping:
            self.cut.append(job)
        elif not alone:  # a search would count the trial as failed, and sweep.resume= would leave it out
            self.told(job)
        if output is not None or alone:
            score = f", {job.monitor} {shown(job.value)}" if job.value is not None else ""
            cause = f": a signal stopped it alone; go on with it by {self._resume}" if alone else ""
            last = pool.why(output) if state == "failed" and output is not None else ""
            self.live.say(f"job {job.number}: {job.ending} after {seconds:.0f} s{score}{cause or last}")


def _own(plan: Planned) -> list[str]:
    return list(filter_overrides(plan.overrides))


def _places(configs: Sequence[DictConfig]) -> list[Place]:
    """Return a place for each job that may run at a time, and tell them if there are several."""
    count = max(int(OmegaConf.select(config, "sweep.parallel") or 1) for config in configs)
    if count == 1:
        return [{}]
    import torch

    each = max(int(OmegaConf.select(config, "trainer.devices") or 1) for config in configs)
    free = pool.places(count, each, torch.cuda.device_count())
    told = ", ".join(dict.fromkeys(f"{name}={value}" for place in free for name, value in place.items()))
    if (remark := pool.crowded(count, each, torch.cuda.device_count())) is not None:
        print(f"warning: {remark}", file=sys.stderr, flush=True)
    print(f"{count} jobs at a time: {told}; their output is in the file .log beside each folder", flush=True)
    return free


def job_variables() -> dict[str, str]:
    """Return the variables of a job beside those of its parent."""
    return {CLAIMED: "1", **({} if TYPED is None else {FULL: TYPED})}


def _environment() -> dict[str, str]:
    """Return the environment of a job: HYDRA_FULL_ERROR as the user has it, not as `command.run` sets it."""
    return {**{name: value for name, value in os.environ.items() if name != FULL}, **job_variables()}


def _program() -> list[str]:
    """Return the command that was typed, without its overrides and without --multirun."""
    main: Any = sys.modules["__main__"]
    program = ["-m", main.__spec__.name] if main.__spec__ is not None else [sys.argv[0]]
    return [sys.executable, *program, *record.config_flags(sys.argv[1:])]
