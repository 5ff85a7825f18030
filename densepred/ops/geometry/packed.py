"""Tensors of several types in one buffer of bytes, so that a batch is shared, pinned and copied at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

ALIGNMENT = 64
"""Bytes; tensors begin at multiples of it, as a view of another type requires."""


class Place(NamedTuple):
    """Where a tensor lies in a buffer."""

    offset: int
    shape: tuple[int, ...]
    dtype: torch.dtype

    def of(self, buffer: Tensor) -> Tensor:
        """Return a view of the tensor in the buffer, on whichever device that is."""
        count = math.prod(self.shape) * self.dtype.itemsize
        return buffer[self.offset : self.offset + count].view(self.dtype).view(self.shape)


class Packer:
    """Places of tensors, and the buffer that holds them."""

    def __init__(self) -> None:
        self.added: list[tuple[Place, Sequence[Tensor | Sequence[Tensor]]]] = []
        self.end = 0

    def add(self, shape: Sequence[int], dtype: torch.dtype, tensors: Sequence[Tensor | Sequence[Tensor]]) -> Place:
        """Place a stack of tensors, each expanded to one shape and converted; several stand for their own stack."""
        place = Place(self.end, (len(tensors), *shape), dtype)
        size = math.prod(place.shape) * dtype.itemsize
        self.end += -(-size // ALIGNMENT) * ALIGNMENT
        self.added.append((place, tensors))
        return place

    def buffer(self) -> Tensor:
        """Copy all tensors into a new buffer."""
        buffer = torch.empty(self.end, dtype=torch.uint8)
        for place, tensors in self.added:
            for row, tensor in zip(place.of(buffer), tensors, strict=True):
                if isinstance(tensor, Tensor):
                    row.copy_(tensor)
                    continue
                for one, values in zip(row, tensor, strict=True):
                    one.copy_(values)
        return buffer
