"""Resize to one size, or the shorter or longer side to one length."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Generator

from densepred.ops.geometry.warp import IDENTITY, Warp, scaling
from densepred.types import UserError


class Resize:
    """Resize an image.

    size: [height, width], or one number for the shorter side, which keeps the aspect ratio; null changes nothing.
    longest: length of the longer side; beside one number for the shorter side, its largest length.
    """

    def __init__(self, size: Sequence[int] | int | None, longest: int | None = None) -> None:
        numbers = [] if size is None else [size] if isinstance(size, int) else list(size)
        if len(numbers) > 2 or min(numbers, default=1) < 1:
            raise UserError(f"resize.size: {size}; give [height, width], the length of the shorter side, or null")
        if longest is not None and (longest < 1 or len(numbers) == 2):
            raise UserError(
                f"resize: size {size}, longest {longest}; give a positive length, and no [height, width] beside it"
            )
        self.size, self.longest = numbers, longest

    def params(self, size: tuple[int, int], generator: Generator) -> Warp:
        if len(self.size) == 2:
            after = (self.size[0], self.size[1])
            return Warp(scaling(size, after), after)
        limits = [self.size[0] / min(size)] if self.size else []
        if self.longest is not None:
            limits.append(self.longest / max(size))
        if not limits:
            return Warp(IDENTITY, size)
        factor = min(limits)
        after = max(1, round(size[0] * factor)), max(1, round(size[1] * factor))
        return Warp(scaling(size, after), after)
