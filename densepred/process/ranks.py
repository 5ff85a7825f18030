"""The number of processes of a run, and the program that starts them."""

from __future__ import annotations

import os
from collections.abc import Mapping

from densepred.process import slurm


def must_start(devices: int, environment: Mapping[str, str] = os.environ) -> bool:
    """Return True if this process has to start the others; the number that torchrun or srun has started counts."""
    return devices > 1 and "WORLD_SIZE" not in environment


def idle_tasks(devices: int, key: str, environment: Mapping[str, str] = os.environ) -> str | None:
    """Return a sentence if the job has several tasks and only its script runs; None otherwise."""
    if devices > 1 or "WORLD_SIZE" in environment or not slurm.is_script(environment):
        return None
    count = slurm.tasks(environment)
    return f"SLURM_NTASKS={count}: only one process runs; start the command by srun, or type {key}={count}"
