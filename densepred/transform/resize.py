"""Bring every image to one size, or its shorter side to one length."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Generator

from densepred.ops.warp import IDENTITY, Move, scaling
from densepred.types import UserError


class Resize:
    """`size` is [height, width], or one number for the shorter side, which keeps the shape; null changes nothing."""

    def __init__(self, size: Sequence[int] | int | None) -> None:
        numbers = [] if size is None else [size] if isinstance(size, int) else list(size)
        if len(numbers) > 2 or min(numbers, default=1) < 1:
            raise UserError(f"resize {size}: give [height, width], the length of the shorter side, or null")
        self.size = numbers

    def plan(self, size: tuple[int, int], generator: Generator) -> Move:
        if not self.size:
            return Move(IDENTITY, size)
        if len(self.size) == 2:
            after = (self.size[0], self.size[1])
        else:
            factor = self.size[0] / min(size)
            after = max(1, round(size[0] * factor)), max(1, round(size[1] * factor))
        return Move(scaling(size, after), after)
