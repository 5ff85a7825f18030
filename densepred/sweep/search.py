"""A search for settings by Optuna: it asks for a trial when a place is free, and tells the score when a job ends."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import optuna
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf
from optuna.trial import Trial, TrialState

from densepred.errors import UserError
from densepred.process.stop import Stopped
from densepred.rundir import pruning, secrets
from densepred.sweep import space
from densepred.sweep.job import SweepJob, ended
from densepred.sweep.launcher import Planned, Processes
from densepred.sweep.ledger import Ledger
from densepred.sweep.scores import Scores

FILE = "study.db"
Direction = Literal["maximize", "minimize"]
DIRECTIONS: dict[str, Direction] = {"max": "maximize", "min": "minimize"}
SETTINGS = "settings"
"""The attribute of a study that holds what all of its trials have in common."""

OTHER = ("hydra", "hydra/sweeper", "sweep")
"""Groups of overrides that may differ when a search goes on."""

Monitored = Callable[[DictConfig], tuple[str, str]]
"""Returns the score that selects the best weights of a run, and its mode, "max" or "min"."""


class Search:
    """The work of Hydra's sweeper `optuna`. Trials are jobs of the process launcher, numbered as in the study.

    The sampler of each trial is seeded by its number. So a search of one job at a time draws the same trials after a
    kill.
    """

    def __init__(
        self,
        monitored: Monitored,
        n_trials: int,
        sampler: str,
        seed: int,
        direction: Direction | None,
        pruner: str,
        startup_trials: int,
        warmup_steps: int,
        params: Mapping[str, Any],
    ) -> None:
        if n_trials < 1:
            raise UserError(f"hydra.sweeper.n_trials={n_trials}: give 1 or more")
        _require("sampler", sampler, ("tpe", "random"))
        _require("pruner", pruner, ("median", "none"))
        _require("direction", direction, (None, *DIRECTIONS.values()))
        self.monitored, self.n_trials, self.sampler, self.seed = monitored, n_trials, sampler, seed
        self.direction: Direction | None = direction
        self.params = params
        median = optuna.pruners.MedianPruner(startup_trials, warmup_steps)
        self.pruner = median if pruner == "median" else optuna.pruners.NopPruner()
        self.trials: dict[int, Trial] = {}  # those of this start, by number
        self.scores: dict[int, Scores] = {}
        self.reported: dict[int, set[int]] = {}  # steps of each trial

    def setup(self, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.config = hydra_context, config
        self.launcher = _processes(
            Plugins.instance().instantiate_launcher(
                hydra_context=hydra_context, task_function=task_function, config=config
            )
        )
        self.launcher.look, self.launcher.told = self._report, self._tell

    def sweep(self, arguments: list[str]) -> None:
        typed = [*space.words(self.params), *arguments]
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        self.space, self.fixed = space.split(parser.parse_overrides(typed))
        if not self.space:
            example = "'optimizer.lr=tag(log, interval(1e-4, 1e-1))'"
            raise UserError(f"hydra/sweeper=optuna: there is nothing to search; type an interval, such as {example}")
        first = self.launcher.planned(0, [*space.words(self.fixed), *space.words(space.first(self.space))])
        self.monitor, mode = self.monitored(first.config)
        self.study = self._opened(self.direction or DIRECTIONS[mode])
        self.launcher.jobs = self._former()
        if OmegaConf.select(self.config, "sweep.retry") and any(job.code for job in self.launcher.jobs):
            text = "sweep.retry: failed trials of a search do not run again; raise hydra.sweeper.n_trials"
            print(f"warning: {text}", file=sys.stderr, flush=True)
        with self.launcher.resumable():
            complete = self.launcher.run(self._plans(), [first.config])
            self.launcher.jobs.sort(key=lambda job: job.number)
            self.launcher.close()
            if not complete:
                raise Stopped
        failed = [str(job.number) for job in self.launcher.jobs if job.code]
        if failed:
            count = len(self.launcher.jobs)
            raise UserError(
                f"{len(failed)} of {count} jobs failed; see the table and messages above, and train.log if it stayed"
            )

    def _opened(self, direction: Direction) -> optuna.Study:
        """Return the study in the folder of the sweep, a new one at first; refuse one of other settings."""
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        folder = self.launcher.folder
        folder.mkdir(parents=True, exist_ok=True)
        study = optuna.create_study(
            storage=f"sqlite:///{(folder / FILE).absolute()}",
            study_name="densepred",
            direction=direction,
            pruner=self.pruner,
            load_if_exists=True,
        )
        searched = {key: optuna.distributions.distribution_to_json(one) for key, one in self.space.items()}
        common = {key: value for key, value in self.fixed.items() if key.lstrip("+").partition(".")[0] not in OTHER}
        fixed = sorted(secrets.redacted(word) for word in space.words(common))
        settings = json.dumps({"search": searched, "fixed": fixed, "score": self.monitor, "direction": direction})
        if study.user_attrs.get(SETTINGS, settings) != settings:
            raise UserError(f"{folder / FILE}: is a search of other settings; give another hydra.sweep.dir")
        study.set_user_attr(SETTINGS, settings)
        return study

    def _former(self) -> list[SweepJob]:
        """Return the jobs of finished trials."""
        folder = self.launcher.folder
        known = {entry.job: entry for entry in Ledger(folder).last().values()}
        finished = [trial.number for trial in self.study.trials if trial.state.is_finished() and trial.number in known]
        return [_job(folder, known[number]) for number in finished]

    def _plans(self) -> Iterator[Planned]:
        """Yield the trials that were cut, then new ones; each is drawn when a place is free for it."""
        for cut in self.study.get_trials(states=(TrialState.RUNNING,)):
            self.study.sampler = self._sampler(cut.number)
            trial = Trial(self.study, cut._trial_id)  # optuna has no public way to go on with a trial
            for key, one in self.space.items():  # a kill may have come between two draws
                space.draw(trial, key, one)
            yield self._planned(trial, set(cut.intermediate_values))
        while (number := len(self.study.trials)) < self.n_trials:
            self.study.sampler = self._sampler(number)
            yield self._planned(self.study.ask(self.space), set())

    def _planned(self, trial: Trial, reported: set[int]) -> Planned:
        self.trials[trial.number], self.reported[trial.number] = trial, reported
        return self.launcher.planned(trial.number, [*space.words(self.fixed), *space.words(trial.params)])

    def _sampler(self, number: int) -> optuna.samplers.BaseSampler:
        kind = optuna.samplers.TPESampler if self.sampler == "tpe" else optuna.samplers.RandomSampler
        return kind(seed=(self.seed * 1_000_003 + number) % 2**32)

    def _report(self) -> None:
        """Report the validations of the jobs that run, and end those that the pruner gives up."""
        for number, plan in self.launcher.running.items():
            trial, scores = self.trials[number], self.scores.setdefault(number, Scores(plan.folder))
            for step, score in scores.new(self.monitor):
                if step in self.reported[number]:
                    continue
                self.reported[number].add(step)
                trial.report(score, step)
                if trial.should_prune():
                    pruning.ask(plan.folder)

    def _tell(self, job: SweepJob) -> None:
        """Tell the study how a job has ended."""
        if job.pruned:
            self.study.tell(job.number, state=TrialState.PRUNED)
        elif job.code or job.value is None:
            self.study.tell(job.number, state=TrialState.FAIL)
        else:
            self.study.tell(job.number, job.value)


def _job(folder: Path, entry: Any) -> SweepJob:
    return ended(entry.job, entry.overrides, folder / entry.folder, entry.code or 0, entry.seconds)


def _processes(launcher: Launcher) -> Processes:
    if not isinstance(launcher, Processes):
        raise UserError("hydra/sweeper=optuna: it takes hydra/launcher=process or slurm; leave hydra/launcher out")
    return launcher


def _require(name: str, value: object, known: tuple[object, ...]) -> None:
    if value not in known:
        names = ", ".join("null" if one is None else str(one) for one in known)
        raise UserError(f"hydra.sweeper.{name}={value}: give one of {names}")
