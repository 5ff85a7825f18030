"""The sweeper of `densepred/sweep/search.py`, in the only place where Hydra looks for sweepers."""

from __future__ import annotations

from typing import Any

from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from densepred.errors import UserError


class Optuna(Sweeper):
    """`hydra/sweeper=optuna`. Hydra imports this module at each start, so Optuna and torch wait until it is used."""

    def __init__(
        self,
        n_trials: int = 20,
        sampler: str = "tpe",
        seed: int = 0,
        direction: Any = None,
        pruner: str = "median",
        startup_trials: int = 5,
        warmup_steps: int = 0,
        params: Any = None,
    ) -> None:
        self.settings = {
            "n_trials": n_trials,
            "sampler": sampler,
            "seed": seed,
            "direction": direction,
            "pruner": pruner,
            "startup_trials": startup_trials,
            "warmup_steps": warmup_steps,
            "params": params or {},
        }

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        try:
            from densepred.sweep.search import Search
        except ModuleNotFoundError as error:
            raise UserError(
                f"hydra/sweeper=optuna: {error.name} is not installed; type pip install 'densepred[optuna]'"
            ) from error
        from densepred.jobs.monitored import monitored

        self.search = Search(monitored, **self.settings)
        self.search.setup(hydra_context, task_function, config)

    def sweep(self, arguments: list[str]) -> None:
        self.search.sweep(arguments)
