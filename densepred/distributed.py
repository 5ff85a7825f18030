"""Processes of one run: ranks, exchange of values, shares of the data.

Every function works without a process group too, where the world is one process.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from densepred.process import meeting, ranks, supervisor
from densepred.process.parent import stop_with_parent

FRESH = "it begins anew; type hydra.run.dir=DIR trainer.resume=auto"

LEFT = "densepred/first has left"
"""Key of the store by which the other processes know that rank 0 has written its files."""
EVERY = 0.05
"""Seconds between two looks for it."""

PROBE = 256  # side of a test image in pixels: larger than the stride of any encoder

T = TypeVar("T")


def rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


def world() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


def is_main() -> bool:
    return rank() == 0


def device() -> torch.device:
    """The accelerator of this process, or the CPU where there is none."""
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    if accelerator is None:
        return torch.device("cpu")
    if accelerator.type == "mps":
        return accelerator
    own = torch.accelerator.device_count() == 1  # each task of Slurm may see one, its own
    return torch.device(accelerator.type, 0 if own else int(os.environ.get("LOCAL_RANK", 0)))


def join(timeout_seconds: float = 600.0, key: str = "trainer.timeout_s") -> torch.device:
    """Join the process group that torchrun, srun or `trainer.devices` describes; return the device of this process.

    `timeout_seconds`, the setting `key`, is the longest wait for another process. A rank stops when its launcher ends.
    Raises UserError if this machine has fewer accelerators than processes of the run, PeerLost if one does not come.
    """
    several = int(os.environ.get("WORLD_SIZE", 1)) > 1
    if several:
        stop_with_parent()
        supervisor.expect(timeout_seconds)
        ranks.require_devices(torch.accelerator.device_count() if torch.accelerator.is_available() else 0)
    where = device()
    if where.type == "cuda":
        torch.cuda.set_device(where)
    if several and not dist.is_initialized():
        backend = "nccl" if where.type == "cuda" else "gloo"
        own = where if where.type == "cuda" else None  # else NCCL guesses the device, and connects at its first use
        wait, patience = timedelta(seconds=timeout_seconds), meeting.Patience(timeout_seconds, key)
        place: dict[str, Any] = {"rank": int(os.environ["RANK"]), "world_size": int(os.environ["WORLD_SIZE"])}
        launched = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
        store = meeting.of_launcher(wait) if launched else meeting.of_first(**place, patience=patience)
        store = meeting.of_this_attempt(store, **place, patience=patience)
        dist.init_process_group(backend, timeout=wait, device_id=own, store=store, **place)
    return where


def parallel(model: nn.Module, channels: int, device: torch.device) -> nn.Module:
    """Wrap the model so that gradients are averaged over processes; with one process return it as it is.

    DistributedDataParallel searches for parameters without a gradient at every step only if there are some, such as
    encoder levels that a decoder does not read. Statistics of synchronised norms are equal on every rank, so buffers
    need no broadcast before each step.
    """
    if world() == 1:
        return model
    synchronised = any(isinstance(part, nn.SyncBatchNorm) for part in model.modules())
    search = unused(model, channels, device)
    if not synchronised:
        return DistributedDataParallel(model, find_unused_parameters=search)
    with warnings.catch_warnings():  # the name that replaces it is younger than the oldest torch of this project
        warnings.filterwarnings("ignore", ".*broadcast_buffers.* is deprecated", FutureWarning)
        return DistributedDataParallel(model, find_unused_parameters=search, broadcast_buffers=False)


def unused(model: nn.Module, channels: int, device: torch.device) -> bool:
    """Return True if a trainable parameter has no part in the output for an image (B, channels, H, W)."""
    training = model.training
    outputs = model.eval().forward(probe(model, channels, device))  # as it was before compiling
    total = torch.stack([stage.float().sum() for stages in outputs.values() for stage in stages]).sum()
    learned = [value for value in model.parameters() if value.requires_grad]
    gradients = torch.autograd.grad(total, learned, allow_unused=True)
    model.train(training)  # not before: gradient checkpointing computes again what it computed in evaluation mode
    return any(gradient is None for gradient in gradients)


def probe(model: nn.Module, channels: int, device: torch.device) -> Tensor:
    """Return an empty image that the model takes, (1, channels, H, W)."""
    size: Any = getattr(model, "size", None) or (PROBE, PROBE)  # an autoencoder with `values` takes images of one size
    return torch.zeros(1, channels, *size, device=device)


def own(value: Tensor) -> Tensor:
    """Return this process's rows of a tensor that is divided over processes, sharing memory; others as they are."""
    rows = getattr(value, "to_local", None)  # of DTensor, a class that takes seconds to import
    return value if rows is None else rows()


def whole(value: Tensor) -> Tensor:
    """Gather a tensor that is divided over processes, which all must call this; return others as they are."""
    gather_all = getattr(value, "full_tensor", None)
    return value if gather_all is None else gather_all()


def divided_as(value: Tensor, other: Tensor) -> Tensor:
    """Divide a tensor that each process has whole as `other` is divided; return it as it is if `other` is not."""
    if own(other) is other:
        return value
    from torch.distributed.tensor import DTensor, distribute_tensor

    assert isinstance(other, DTensor)
    rows = distribute_tensor(value, other.device_mesh, other.placements, src_data_rank=None)
    return rows.clone()  # else its rows would keep the memory of all


def norm_over_ranks(norm: Tensor) -> Tensor:
    """Return the norm of numbers that are divided over processes, from that of this process's share, 0-d."""
    return total(norm.double().square()).sqrt().to(norm.dtype)


def remembered(name: str, make: Callable[[], str]) -> str:
    """Return the text that `make` gave to an earlier attempt of this run under torchrun, else call it."""
    again = int(os.environ.get("TORCHELASTIC_RESTART_COUNT", 0)) > 0
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        if again:
            print(f"warning: torchrun kept no {name} of the first attempt: {FRESH}", file=sys.stderr, flush=True)
        return make()
    store = meeting.of_launcher()
    key = f"densepred/{os.environ.get('TORCHELASTIC_RUN_ID')}/{name}"
    if not store.check([key]):
        store.set(key, make())
    return store.get(key).decode()


def wait_for_first(seconds: float) -> None:
    """Wait until rank 0 leaves, at most `seconds`: its files may still be on their way to the disk.

    Launchers end all processes as soon as one has ended by another code than 0, as those of a stop do.
    """
    if is_main():
        return
    store, end = dist.distributed_c10d._get_default_store(), time.monotonic() + seconds
    with contextlib.suppress(RuntimeError):  # rank 0 has ended, and with it a store of its own
        while not store.check([LEFT]) and time.monotonic() < end:
            time.sleep(EVERY)


def leave(failed: bool = False) -> None:
    """Leave the process group. A process that failed aborts NCCL: destroying would wait for the others' collectives."""
    if not dist.is_initialized():
        return
    if is_main():
        with contextlib.suppress(RuntimeError):  # the launcher has ended, and its store
            dist.distributed_c10d._get_default_store().set(LEFT, "")
    if failed and dist.get_backend() == "nccl":
        dist.distributed_c10d._abort_process_group()
    else:
        dist.destroy_process_group()


def share(value: T) -> T:
    """Return rank 0's value, on every rank."""
    if world() == 1:
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0)
    return box[0]


def gather(value: T) -> list[T]:
    """Return every rank's value, in the order of ranks, on every rank."""
    if world() == 1:
        return [value]
    box = [value] * world()
    dist.all_gather_object(box, value)
    return box


def anywhere(flag: bool, where: torch.device) -> bool:
    """Return True on every rank if `flag` is true on any."""
    if world() == 1:
        return flag
    box = torch.tensor(float(flag), device=where)
    dist.all_reduce(box, op=dist.ReduceOp.MAX)
    return bool(box.item())


def anywhere_each(flags: Tensor, more: Sequence[bool]) -> list[bool]:
    """Return `anywhere` for each of the flags, (N,) bool on the device, then `more` of the host, by one reduction."""
    if world() == 1:
        return [*flags.tolist(), *more]
    box = torch.cat([flags.float(), flags.new_tensor(list(more), dtype=torch.float32)])
    dist.all_reduce(box, op=dist.ReduceOp.MAX)
    return [bool(value) for value in box.tolist()]


def anyone(word: str, flag: bool) -> bool:
    """Return True once any process has called this with a true flag; no process waits for another."""
    if world() == 1:
        return flag
    store, key = dist.distributed_c10d._get_default_store(), f"densepred/{word}"
    if flag:
        store.set(key, "1")
    return flag or store.check([key])


def total(values: Tensor) -> Tensor:
    """Return the sum of every rank's values, on every rank."""
    if world() == 1:
        return values
    summed = values.clone()
    dist.all_reduce(summed)
    return summed


def shard(items: Sequence[T]) -> Sequence[T]:
    """Return this rank's share of a list: the shares of all ranks together are the list, without repeats."""
    return items[rank() :: world()]


class _GatherRows(torch.autograd.Function):
    """Every rank's rows on every rank. Gradients are multiplied by the world: DistributedDataParallel averages them."""

    @staticmethod
    def forward(ctx, rows: Tensor) -> Tensor:
        everything = rows.new_zeros(world(), *rows.shape)
        everything[rank()] = rows
        dist.all_reduce(everything)
        return everything.flatten(0, 1)

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        return grad.unflatten(0, (world(), -1))[rank()] * world()


def gather_rows(rows: Tensor) -> Tensor:
    """Gather (B, S) of each rank to (world * B, S), differentiable. B must be equal on every rank."""
    return _GatherRows.apply(rows) if world() > 1 else rows
