"""Bytes that a forward pass keeps for the backward pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn

T = TypeVar("T")


def measured(module: Callable[[Tensor], T], image: Tensor) -> tuple[T, int]:
    """Return module(image), and the bytes of all tensors that it keeps beside its weights and buffers."""
    assert isinstance(module, nn.Module)
    own = {value.untyped_storage().data_ptr() for value in [*module.parameters(), *module.buffers()]}
    storages: dict[int, Tensor] = {}

    def keep(x: Tensor) -> Tensor:
        if x.untyped_storage().data_ptr() not in own:
            storages[x.untyped_storage().data_ptr()] = x
        return x

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        result = module(image)
    return result, sum(x.untyped_storage().nbytes() for x in storages.values())
