"""Codecs that form instances in overlapping blocks of rows, of images that need not fit into memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from densepred.contracts import Codec


@dataclass(frozen=True, slots=True)
class Blocks:
    """Decoding by blocks of rows.

    codec: decodes a block like an image, and removes no region because its area is small
    margin: rows above and below a block that are decoded with it; unless `any_size`, half a window is added
    thing_area, stuff_area: pixels below which instances, and classes of stuff, become void in the whole image
    any_size: whether instances higher than a window are those of the whole image too
    """

    codec: Codec
    margin: int
    thing_area: float = 0.0
    stuff_area: float = 0.0
    any_size: bool = True


@runtime_checkable
class Blockwise(Protocol):
    """A codec that can decode an image in blocks. Its instances that share pixels of two blocks are one."""

    def blocks(self, size: tuple[int, int]) -> Blocks:
        """Return how an image of this size is decoded."""
        ...
