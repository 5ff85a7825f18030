"""Activation checkpointing (arXiv 1604.06174): activations are computed again in the backward pass, not kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from densepred.contracts import Encoder
from densepred.nn import BatchNorm2d

T = TypeVar("T")
NO_BACKWARD = -1  # of torch, as the number of the backward pass that runs


class Checkpointed(Encoder):
    """An encoder that can compute the activations of its blocks again, for an encoder to inherit.

    `forward` passes each block through `block`. Gradients, running statistics and random numbers stay as they are
    without.
    """

    checkpointing = False

    def checkpoint(self) -> None:
        """Keep the inputs of blocks alone from now on. Raises UserError if an encoder cannot."""
        keep_statistics(self)
        self.checkpointing = True

    def block(self, block: Callable[..., T], *inputs: Any) -> T:
        """Return block(*inputs); its activations are kept unless `checkpoint` was called."""
        if self.checkpointing and torch.is_grad_enabled():
            return checkpoint(block, *inputs, use_reentrant=False)
        return block(*inputs)


def keep_statistics(module: nn.Module) -> None:
    """Keep buffers as they are wherever a backward pass computes again: norms must not count a batch twice."""
    for part in module.modules():
        if part._buffers:
            kept = KeptBuffers()
            part.register_forward_pre_hook(kept.before)
            # Always: the last block ends by an exception, as soon as nothing is missing.
            part.register_forward_hook(kept.after, always_call=True)


class KeptBuffers:
    """Buffers of a module that runs on copies of them within a backward pass, and the batches that a norm counts."""

    def __init__(self) -> None:
        self.buffers: dict[str, Tensor | None] = {}
        self.uncounted = 0

    def before(self, module: nn.Module, inputs: object) -> None:
        # Compiled programs compute again what no buffer depends on.
        if not torch.compiler.is_compiling() and torch._C._current_graph_task_id() != NO_BACKWARD:
            self.buffers = dict(module._buffers)
            self.uncounted = module.uncounted if isinstance(module, BatchNorm2d) else 0
            for name, value in self.buffers.items():
                module._buffers[name] = None if value is None else value.clone()

    def after(self, module: nn.Module, inputs: object, output: object) -> None:
        if self.buffers:
            module._buffers.update(self.buffers)
            self.buffers = {}
            if isinstance(module, BatchNorm2d):
                module.uncounted = self.uncounted
