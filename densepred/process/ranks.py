"""The number of processes of a run, and the program that starts them."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping

from densepred.errors import UserError
from densepred.process import slurm

OWN_DEVICE = ("SLURM_GPUS_PER_TASK", "SLURM_GPU_BIND", "SLURM_TRES_PER_TASK")
"""Variables with which Slurm shows each task only the devices of its own."""


MOST = 2**31 - 1
NUMBERS = {
    "RANK": (0, MOST),
    "WORLD_SIZE": (1, MOST),
    "LOCAL_RANK": (0, MOST),
    "LOCAL_WORLD_SIZE": (1, MOST),
    "MASTER_PORT": (1, 65535),
    "TORCHELASTIC_RESTART_COUNT": (0, MOST),
    "SLURM_PROCID": (0, MOST),
    "SLURM_LOCALID": (0, MOST),
}
"""Variables of launchers that hold a number, with the least one and the largest."""

STARTED = "start the command by torchrun or srun, which"


def must_start(devices: int, environment: Mapping[str, str] = os.environ) -> bool:
    """Return True if this process has to start the others; the number that torchrun or srun has started counts."""
    return devices > 1 and "WORLD_SIZE" not in environment


def idle_tasks(devices: int, key: str, environment: Mapping[str, str] = os.environ) -> str | None:
    """Return a sentence if a job of Slurm has more tasks or nodes than this command uses outside `srun`; else None."""
    if "WORLD_SIZE" in environment or not slurm.is_alone(environment):
        return None
    count, nodes = environment["SLURM_NTASKS"], slurm.nodes(environment)
    if devices == 1:
        where = "" if "SLURM_PROCID" in environment else ", on this machine and not on a node of the job"
        other = f", or type {key}={count}" if nodes == 1 and not where else ""
        return f"SLURM_NTASKS={count}: only one process runs{where}; start the command by srun{other}"
    if nodes > 1:
        fact = f"all {devices} processes run on this machine"
        return f"SLURM_JOB_NUM_NODES={nodes}: {fact}; start one process per GPU by srun, without {key}"
    return None


def queued_again(resume: object, environment: Mapping[str, str] = os.environ) -> str | None:
    """Return a sentence if Slurm has queued a job again and its run begins anew; None otherwise."""
    count = environment.get("SLURM_RESTART_COUNT", "0")
    if resume is not None or "SLURM_JOB_ID" not in environment or count in ("", "0"):
        return None
    remedy = "type hydra.run.dir=DIR trainer.resume=auto to go on after the next time"
    return f"SLURM_RESTART_COUNT={count}: the job was queued again, and the run begins anew; {remedy}"


def check(devices: int, key: str, accelerators: int, processors: int) -> str | None:
    """Return a remark on more processes than processors, where there is no accelerator; None if there is none.

    Raises UserError if there are accelerators, and fewer than processes. `key` is the setting of `devices`.
    """
    if 0 < accelerators < devices:
        raise UserError(
            f"{key}={devices}: this machine shows {accelerators} accelerators, and each process takes one; type "
            f"{key}={accelerators}, or set CUDA_VISIBLE_DEVICES= to take the CPU"
        )
    if accelerators or devices <= processors:
        return None
    few = f"{processors} processor{'s' * (processors > 1)}"
    return (
        f"{key}={devices}: there is no accelerator, and {few}: the processes take turns, and each "
        f"loads torch before it begins; {key}=1 uses all processors by its threads"
    )


def indivisible(batch_size: int, processes: int, key: str | None = None) -> str | None:
    """Return the sentence if `data.batch_size` is no multiple of the number of processes; None if it is.

    key: the setting of their number, if the command starts them
    """
    if batch_size % processes == 0:
        return None
    multiple = max(processes, batch_size // processes * processes)
    fewer = max(number for number in range(1, processes) if batch_size % number == 0)
    other = f"start {fewer}" if key is None else f"{key}={fewer}"
    fact = f"data.batch_size={batch_size} does not divide over {processes} devices"
    return f"{fact}; type data.batch_size={multiple}, or {other}"


def unjoined(absent: Collection[int], processes: int) -> str:
    """Return the start of a sentence on the ranks that have not come: "process 3 of 9 has not joined"."""
    names = ", ".join(str(rank) for rank in sorted(absent))
    several = len(absent) > 1
    return f"process{'es' * several} {names} of {processes} {'have' if several else 'has'} not joined"


def require_place(environment: Mapping[str, str] = os.environ) -> None:
    """Raise UserError unless the variables of launchers, as far as they are set, name one process of a run."""
    for name, (least, most) in NUMBERS.items():
        text = environment.get(name, str(least))
        if not (text.isascii() and text.isdecimal() and len(text) < 11 and least <= int(text) <= most):
            raise UserError(f"{name}={text}: no whole number from {least} to {most}; {STARTED} set it, or unset it")
    world, rank = int(environment.get("WORLD_SIZE", "1")), int(environment.get("RANK", "0"))
    of_mpi = environment.get("OMPI_COMM_WORLD_SIZE", "1")
    if of_mpi != "1" and not {"WORLD_SIZE", "SLURM_STEP_NUM_TASKS"} & environment.keys():
        raise UserError(
            f"OMPI_COMM_WORLD_SIZE={of_mpi}: mpirun would start as many runs of their own; {STARTED} make one run, or "
            "unset OMPI_COMM_WORLD_SIZE"
        )
    missing = [name for name in ("RANK", "MASTER_ADDR", "MASTER_PORT") if world > 1 and name not in environment]
    if missing:
        raise UserError(f"WORLD_SIZE={world}: without {', '.join(missing)}; {STARTED} set them, or unset WORLD_SIZE")
    if rank >= world:
        raise UserError(
            f"RANK={rank}: no process of WORLD_SIZE={world} has this number; {STARTED} set both, or unset RANK"
        )


def require_one(command: str, environment: Mapping[str, str] = os.environ) -> None:
    """Raise UserError in one of several processes: each would do all the work of `command`, into the same files."""
    world = environment.get("WORLD_SIZE", "1")
    if world != "1":
        remedy = "by srun --ntasks=1" if "SLURM_PROCID" in environment else "without torchrun, or unset WORLD_SIZE"
        raise UserError(f"WORLD_SIZE={world}: densepred-{command} is one process, not {world}; start it {remedy}")


def require_devices(count: int, environment: Mapping[str, str] = os.environ) -> None:
    """Raise UserError if a node has fewer accelerators, `count`, than processes; without any the CPU does."""
    local = int(environment.get("LOCAL_WORLD_SIZE", environment.get("WORLD_SIZE", "1")))
    given = any(environment.get(name, "none") != "none" for name in OWN_DEVICE)  # --gpu-bind=none shows all to each
    if 0 < count < local and not (count == 1 and given):
        how = "--ntasks-per-node" if "SLURM_PROCID" in environment else "trainer.devices or --nproc-per-node"
        raise UserError(
            f"{local} processes on this node, which has {count} accelerators; set {how} to {count}, or ask for "
            f"{local} (--gpus-per-node={local})"
        )
