"""The place of a process in a job step of Slurm, as the variables that torchrun sets."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from densepred.errors import UserError

PROC = Path("/proc")

FIRST_PORT, PORTS = 12_000, 20_000
"""Ports for the meeting of the processes of a step; two steps of one job, or of neighbouring jobs, differ.

They end below 32768, where Linux begins to take ports for connections of any program.
"""

SCRIPT = "slurm_script"
"""The name under which Slurm starts the script of a job."""


def adopt(environment: Mapping[str, str] = os.environ) -> None:
    """Set RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR and MASTER_PORT from SLURM_*.

    Variables that are set already win, so `srun torchrun ...` is left alone. Raises UserError for a list of nodes that
    cannot be read.
    """
    os.environ.update({name: value for name, value in place(environment).items() if name not in environment})


def place(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of torchrun for one of several tasks that `srun` has started; {} for anything else."""
    if "RANK" in environment or "WORLD_SIZE" in environment or not is_task(environment):
        return {}
    world = tasks(environment)
    local = environment.get("SLURM_LOCALID", "0")
    return {
        "RANK": environment["SLURM_PROCID"],
        "WORLD_SIZE": str(world),
        "LOCAL_RANK": local,
        "LOCAL_WORLD_SIZE": str(_per_node(environment, world)),
        "MASTER_ADDR": address(environment),
        "MASTER_PORT": str(port(environment)),
    }


def is_task(environment: Mapping[str, str]) -> bool:
    """Return True in one of several tasks of a step.

    A script of `sbatch` has SLURM_PROCID and SLURM_NTASKS too. It belongs to no step that `srun` has numbered. One that
    was submitted inside a step has the variables of that step, of another job: its first process tells it apart.
    """
    if "SLURM_PROCID" not in environment or tasks(environment) < 2 or _of_script(environment):
        return False
    numbered = "SLURM_STEP_NUM_TASKS" in environment or "SLURM_STEP_ID" in environment or "SLURM_STEPID" in environment
    return numbered or "SLURM_TASK_PID" not in environment


def is_alone(environment: Mapping[str, str]) -> bool:
    """Return True outside `srun`, in the script of a job of several tasks or in a shell of `salloc`.

    Only one process runs there, in a shell of `salloc` mostly on a login node.
    """
    several = _number(environment.get("SLURM_NTASKS")) > 1  # 1 in a task of `srun --ntasks=1`
    return "SLURM_JOB_ID" in environment and several and not is_task(environment)


def tasks(environment: Mapping[str, str]) -> int:
    """Return the number of tasks of the step, else of the job, else 1."""
    step = None if _of_script(environment) else environment.get("SLURM_STEP_NUM_TASKS")
    return _number(step or environment.get("SLURM_NTASKS"))


def nodes(environment: Mapping[str, str]) -> int:
    """Return the number of nodes of the job, else 1."""
    return _number(environment.get("SLURM_JOB_NUM_NODES") or environment.get("SLURM_NNODES"))


def _number(text: str | None) -> int:
    return int(text) if text is not None and text.isdecimal() else 1


def _of_script(environment: Mapping[str, str]) -> bool:
    """Return True if the first process of this task is the script of a job; False where there is no /proc."""
    try:
        words = (PROC / environment.get("SLURM_TASK_PID", "-") / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return any(os.path.basename(word) == SCRIPT.encode() for word in words)


def address(environment: Mapping[str, str]) -> str:
    """Return the host of rank 0: the first node of the step; the loopback if there is only one node."""
    listed = environment.get("SLURM_STEP_NODELIST") or environment.get("SLURM_JOB_NODELIST")
    hosts = expand(listed or environment.get("SLURM_NODELIST") or "")
    return hosts[0] if len(hosts) > 1 else "127.0.0.1"


def port(environment: Mapping[str, str]) -> int:
    """Return a port that follows from the ids of job and step."""
    job, step = environment.get("SLURM_JOB_ID", "0"), environment.get("SLURM_STEP_ID", "0")
    number = (int(job) if job.isdecimal() else 0) * 7 + (int(step) if step.isdecimal() else 0)
    return FIRST_PORT + number % PORTS


def expand(listed: str) -> list[str]:
    """Return the hosts of a list such as `node[01-03,7],login`, in order. Raises UserError if it is malformed."""
    parts = re.findall(r"(?:[^,\[\]]|\[[^\[\]]*\])+", listed)
    if ",".join(parts) != listed:
        raise UserError(f"SLURM_JOB_NODELIST={listed}: no list of nodes; set MASTER_ADDR to the host of the first task")
    return [host for part in parts for host in _hosts(part)]


def _hosts(part: str) -> list[str]:
    """Return the hosts of one name with ranges in brackets, such as `r[1-2]n[01,05]`."""
    before, bracket, rest = part.partition("[")
    if not bracket:
        return [part]
    inside, _, after = rest.partition("]")
    tails = _hosts(after)
    return [f"{before}{number}{tail}" for number in _numbers(inside, part) for tail in tails]


def _numbers(text: str, part: str) -> list[str]:
    """Return the numbers of `01-03,7`: those of a range are as wide as its first."""
    found: list[str] = []
    for piece in text.split(","):
        first, dash, last = piece.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise UserError(f"SLURM_JOB_NODELIST: {part}: no list of nodes; set MASTER_ADDR to the host of rank 0")
        numbers = range(int(first), int(last) + 1) if dash else [int(first)]
        found += [str(number).zfill(len(first)) for number in numbers]
    return found


def _per_node(environment: Mapping[str, str], world: int) -> int:
    """Return the tasks on this node: of `4(x2),3` the count for SLURM_NODEID."""
    text = environment.get("SLURM_STEP_TASKS_PER_NODE") or environment.get("SLURM_TASKS_PER_NODE")
    text = text or environment.get("SLURM_NTASKS_PER_NODE") or ""
    counts: list[int] = []
    for count, times in re.findall(r"(\d+)(?:\(x(\d+)\))?", text):
        counts += [int(count)] * min(int(times or 1), 100_000)
    node = environment.get("SLURM_NODEID", "0")
    index = int(node) if node.isdecimal() else 0
    if not counts:
        return world
    return counts[index] if index < len(counts) else counts[0]
