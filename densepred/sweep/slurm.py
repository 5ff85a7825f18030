"""`hydra/launcher=slurm`: jobs of a sweep as jobs of Slurm, submitted by submitit."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from densepred.errors import UserError
from densepred.process import supervisor
from densepred.process.signals import REQUESTS
from densepred.process.starting import INTERRUPTED
from densepred.process.stop import STOPPED
from densepred.sweep.launcher import FULL, Processes, job_variables
from densepred.sweep.pool import Place, Process

KEY = "hydra.launcher"
LOST = 1
"""Exit code of a job that ended without one: cancelled, killed by Slurm, or its node failed."""
UNFINISHED = (STOPPED, INTERRUPTED, 128 + signal.SIGTERM, -signal.SIGTERM)
"""Exit codes of a command that was asked to stop; after the last two it had not begun yet."""
EVERY = 1.0
"""Seconds between two looks at a job."""
DELAY = 30
"""Most seconds between two calls of `squeue`; submitit asks more often at first."""
CLUSTERS = ("slurm", "local")


class Slurm(Processes):
    """Hydra's launcher that submits each job and waits for it; ledger and table are those of `Processes`.

    A job that reaches its time or is preempted saves, is queued again, and goes on in its folder.
    """

    always_logged = True  # jobs print into the file .log beside their folder
    resumes = True  # Slurm may start a job again by itself

    def __init__(self, **settings: Any) -> None:
        self.settings: dict[str, Any] = {
            key: OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
            for key, value in settings.items()
        }
        self.watcher: Any = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)
        self.parameters = parameters(self.settings, int(OmegaConf.select(config, "trainer.devices") or 1))

    def places(self, configs: Sequence[DictConfig]) -> list[Place]:
        """Return a place per job: the cluster's queue decides how many run, or `sweep.parallel` where it is set."""
        limit = max(int(OmegaConf.select(config, "sweep.parallel") or 1) for config in configs)
        return [{}] * (limit if limit > 1 else len(configs))

    def begin(self, command: Sequence[str], place: Place, output: Path | None) -> Process:
        assert output is not None
        supervisor.expect(math.inf)  # this process sleeps while the cluster works
        submit = _executor(self.settings["cluster"], self.folder, self.settings["max_timeouts"])
        submit.update_parameters(**self.parameters)
        submit.update_parameters(name=f"{self.folder.name}-{output.stem}")
        job = _submitted(submit, Step(list(command), job_variables(), os.getcwd(), str(output.absolute())))
        self.live.say(f"  submitted as {self.settings['cluster']} job {job.job_id}")
        if self.settings["cluster"] == "slurm":
            self._watch(job)
        return Submitted(job)

    def _watch(self, job: Any) -> None:
        """Ask the queue for the states of jobs if the cluster keeps no accounts, which is known with the first job."""
        from densepred.sweep.slurm_queue import Queue, has_accounts

        if self.watcher is None:
            self.watcher = job.watcher if has_accounts(job.job_id) else Queue(delay_s=DELAY)
        job.watcher = self.watcher


def parameters(settings: Mapping[str, Any], devices: int) -> dict[str, Any]:
    """Return the settings as submitit names them; `devices` is trainer.devices. Raises UserError if they do not fit."""
    cluster, nodes, tasks = settings["cluster"], settings["nodes"], settings["tasks_per_node"]
    if cluster not in CLUSTERS:
        raise UserError(f"hydra.launcher.cluster={cluster}: give one of {', '.join(CLUSTERS)}")
    if nodes * tasks > 1 and devices > 1:
        raise UserError(
            f"trainer.devices={devices}: a job has {nodes * tasks} tasks already, each one process of the run; set "
            f"trainer.devices=1 and {KEY}.tasks_per_node={devices}"
        )
    if cluster == "local" and nodes * tasks > 1:
        raise UserError(
            f"{KEY}.nodes={nodes}, {KEY}.tasks_per_node={tasks}: on this machine a job is one task; set both to 1, and "
            "trainer.devices to the number of processes"
        )
    needed = tasks * devices
    gpus = settings["gpus_per_node"]
    if gpus not in (None, 0, needed):
        raise UserError(
            f"{KEY}.gpus_per_node={gpus}: a node runs {needed} processes, of one GPU each; set it to {needed} or "
            f"null, or change {KEY}.tasks_per_node or trainer.devices"
        )
    common = ("nodes", "tasks_per_node", "cpus_per_task", "mem_gb", "timeout_min")
    of_slurm = ("signal_delay_s", "partition", "account", "qos", "constraint", "setup")
    found = {key: settings[key] for key in common} | {f"slurm_{key}": settings[key] for key in of_slurm}
    found |= {"gpus_per_node": needed if gpus is None else gpus}
    found |= {"slurm_additional_parameters": dict(settings["parameters"])}
    return {key: value for key, value in found.items() if value not in (None, [], {})}


def _executor(cluster: str, folder: Path, timeouts: int) -> Any:
    try:
        import submitit
    except ModuleNotFoundError as error:
        raise UserError(
            "hydra/launcher=slurm: submitit is not installed; type pip install 'densepred[slurm]'"
        ) from error
    try:
        return submitit.AutoExecutor(folder / ".submitit", cluster=cluster, slurm_max_num_timeout=timeouts)
    except RuntimeError as error:
        raise UserError(
            f"hydra/launcher=slurm: {error}; type it where sbatch is, or {KEY}.cluster=local to try it here"
        ) from error


def _submitted(executor: Any, step: Step) -> Any:
    """Submit a job. Raises UserError with the answer of sbatch if it refuses."""
    from submitit.core.utils import FailedJobError

    try:
        return executor.submit(step)
    except FailedJobError as error:
        answer = "; ".join(line.removeprefix("sbatch: ").strip() for line in str(error).splitlines())
        raise UserError(
            f"hydra/launcher=slurm: sbatch refuses the job: {answer}; correct {KEY}.partition, account or qos, "
            f"or type the command where Slurm answers; {KEY}.cluster=local tries it here"
        ) from error


class Submitted:
    """A job of a cluster, as `pool` knows processes."""

    def __init__(self, job: Any) -> None:
        self.job, self.looked = job, 0.0

    def poll(self) -> int | None:
        """Return the exit code of the job; None while it is queued or runs."""
        if time.monotonic() - self.looked < EVERY:
            return None
        self.looked = time.monotonic()
        if not self.job.done():
            return None
        try:
            return max(int(code) for code in self.job.results())
        except Exception:  # submitit raises several kinds, and what the job raised
            return LOST

    def wait(self) -> int:
        while (code := self.poll()) is None:
            time.sleep(EVERY)
        return code

    def send_signal(self, number: int) -> None:
        """End the job: it gets SIGTERM, and saves."""
        self.job.cancel(check=False)


@dataclass
class Step:
    """The command of a job; submitit pickles this object and calls it on a node."""

    command: list[str]
    environment: dict[str, str]
    folder: str
    output: str

    def __call__(self) -> int:
        """Run the command, append its output to a file, and return its exit code."""
        own = {name: value for name, value in os.environ.items() if name != FULL} | self.environment
        asked: list[tuple[int, FrameType | None]] = []
        again = {int(number): signal.getsignal(number) for number in (*REQUESTS, signal.SIGTERM)}
        # Slurm signals all processes of the job: the command inherits that it ignores requests until it takes them
        for number in REQUESTS:
            signal.signal(number, signal.SIG_IGN)
        with open(self.output, "ab") as file:
            process = subprocess.Popen(self.command, cwd=self.folder, env=own, stdout=file, stderr=file)
        for number in again:
            signal.signal(number, lambda received, frame: asked.append((received, frame)))
        while (code := process.poll()) is None:
            if asked:
                process.send_signal(signal.SIGUSR1)  # it may still ignore them
            time.sleep(EVERY)
        for number, frame in asked:
            handler = again[number]
            if code in UNFINISHED and callable(handler):
                handler(number, frame)  # submitit's: it queues the job again and ends this process
        return code

    def checkpoint(self) -> Any:
        """Return what submitit queues instead: the same command, which goes on by trainer.resume=auto."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)
