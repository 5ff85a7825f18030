"""Parameters of a model that are divided over the processes of a run: FSDP2, `trainer.shard` (arXiv 2304.11277).

Each process keeps its rows of every parameter, gradient, average and optimizer state. The weights of a block are
gathered before it computes and dropped after it. Files keep whole tensors: see `distributed.whole`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from densepred import distributed
from densepred.contracts import ClosedForm, Encoder
from densepred.engine.evaluate import share_buffers
from densepred.errors import UserError

MATRICES = 2
"""Tensors of two or more dimensions that a block has at least: smaller parts are gathered with the rest."""


def require(model: nn.Module) -> None:
    """Raise UserError where nothing can be divided."""
    if distributed.world() == 1:
        raise UserError(
            "trainer.shard=true: this run is one process, and the state is divided over several; add "
            "trainer.devices=2 or more (or start it by torchrun or srun), or set trainer.shard=false"
        )
    if isinstance(model, ClosedForm):
        raise UserError(
            "trainer.shard=true: this model is solved in closed form, not by steps; set trainer.shard=false"
        )
    scalars = [name for name, value in model.named_parameters() if value.ndim == 0]
    if scalars:
        raise UserError(
            f"trainer.shard=true: parameter {scalars[0]} is a single number without rows; give it the shape (1,), or "
            "set trainer.shard=false"
        )


def apply(model: nn.Module, average: AveragedModel | None, channels: int, device: torch.device) -> None:
    """Divide a model and its average over all processes, in place, both alike."""
    names = {part: name for name, part in model.named_modules()}
    chosen = [names[part] for part in blocks(model, channels, device)]
    for whole in (model, *([] if average is None else [average.module])):
        divide(whole, [whole.get_submodule(name) for name in chosen], device)


def notes(model: nn.Module, channels_last: bool) -> Iterator[str]:
    """Yield sentences on what is divided; nothing without `trainer.shard`."""
    units = _units(model)
    if not units:
        return
    inside = sum(value.numel() for unit in units if unit is not model for value in unit.parameters())
    total, world = sum(value.numel() for value in model.parameters()), distributed.world()
    if len(units) == 1:
        each = (
            "no blocks found, so a step gathers all weights and gradients at once, and saves memory between steps alone"
        )
    else:
        each = f"{len(units) - 1} blocks with {inside / total:.0%} of the weights are gathered one at a time"
    yield f"trainer.shard=true: each of {world} processes keeps 1/{world} of the state; {each}"
    if channels_last:
        yield "trainer.channels_last=true: of images alone; trainer.shard divides contiguous weights"


def divide(model: nn.Module, blocks: Sequence[nn.Module], device: torch.device) -> None:
    """Divide the parameters of a model over all processes, in place: each block by itself, the rest together.

    The rest is gathered anew for the backward pass too, so parameters are divided wherever no pass runs.
    """
    from torch.distributed.device_mesh import init_device_mesh  # seconds of imports, for those who divide
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(device.type, (distributed.world(),))
    for block in blocks:
        block.register_forward_hook(_without_view)
    for part in (*blocks, model):
        fully_shard(part, mesh=mesh, reshard_after_forward=True)
    if not any(isinstance(part, nn.SyncBatchNorm) for part in model.modules()):
        model.register_forward_pre_hook(_share_statistics)


def _without_view(block: nn.Module, inputs: object, output: object) -> object:
    """Copy an output that is a view: if it is changed in place, FSDP2 forgets to gather the block for its gradient."""
    return output.clone() if isinstance(output, Tensor) and output._is_view() else output


def _share_statistics(model: nn.Module, inputs: object) -> None:
    """Give every process the running statistics of rank 0 before a step, as DistributedDataParallel does."""
    if model.training:
        share_buffers(model)


def divided(model: nn.Module) -> bool:
    """Return True after `divide`."""
    return bool(_units(model))


def update_by_lists(optimizer: torch.optim.Optimizer) -> None:
    """Let a CUDA device update many tensors by one kernel: by default torch does so for undivided tensors alone."""
    for group in optimizer.param_groups:
        if "foreach" in group and group["foreach"] is None and not group.get("fused"):
            group["foreach"] = True


@contextmanager
def gathered(model: nn.Module) -> Iterator[None]:
    """Keep the whole model in each process: passes then need no other, whatever the number of images of each."""
    units = _units(model)
    for unit in units:
        unit.set_reshard_after_forward(False, recurse=False)
        unit.unshard()
    try:
        yield
    finally:
        for unit in units:
            unit.reshard()
            unit.set_reshard_after_forward(True, recurse=False)


def _units(model: nn.Module) -> list[Any]:
    return [part for part in model.modules() if hasattr(part, "set_reshard_after_forward")]


@torch.no_grad()
def blocks(model: nn.Module, channels: int, device: torch.device) -> list[nn.Module]:
    """Return the repeated parts of the encoders, of the whole model without one, which a pass calls once each.

    A block is an entry of a list of modules with several matrices of its own, and holds no other block.
    """
    roots = [part for part in model.modules() if isinstance(part, Encoder)] or [model]
    tied = Counter(id(value) for _, value in model.named_parameters(remove_duplicate=False))
    lists = (part for root in roots for part in root.modules() if isinstance(part, nn.ModuleList | nn.Sequential))
    entries = {child: None for part in lists for child in part.children()}
    able = [
        part for part in entries if _matrices(part) >= MATRICES and all(tied[id(p)] == 1 for p in part.parameters())
    ]
    calls = _calls(model, able, distributed.probe(model, channels, device))
    once = [part for part in able if calls[part] == 1]
    return [part for part in once if not any(inner in once for inner in part.modules() if inner is not part)]


def _matrices(part: nn.Module) -> int:
    return sum(value.ndim > 1 for value in part.parameters())


def _calls(model: nn.Module, parts: Sequence[nn.Module], image: Tensor) -> Counter[nn.Module]:
    """Return how often a pass in evaluation mode calls each part as a module."""
    calls, training = Counter[nn.Module](), model.training
    handles = [part.register_forward_pre_hook(lambda module, _: calls.update([module])) for part in parts]
    model.eval()(image)
    model.train(training)
    for handle in handles:
        handle.remove()
    return calls
