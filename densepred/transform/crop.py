"""A random scale and a random crop of fixed size, as one warp."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Generator

from densepred.ops.geometry.warp import IDENTITY, Warp, compose, scaling
from densepred.types import UserError


class Crop:
    """Scale by a factor between `low` and `high` (log-uniform), then crop `size` (height, width) at random.

    If the scaled image is smaller than the crop, it lies at random in it, and the rest is void. With size null the
    image is not changed.
    """

    def __init__(self, size: Sequence[int] | None, low: float = 1.0, high: float = 1.0) -> None:
        if size is not None and (len(size) != 2 or min(size) < 1):
            raise UserError(f"crop.size: {list(size)}; give [height, width] in pixels, or null for whole images")
        if not 0 < low <= high:
            raise UserError(f"crop: low {low}, high {high}; give 0 < low <= high")
        self.size = None if size is None else (int(size[0]), int(size[1]))
        self.low, self.high = low, high

    def params(self, size: tuple[int, int], generator: Generator) -> Warp:
        u, v, w = torch.rand(3, generator=generator, dtype=torch.float64).tolist()
        if self.size is None:
            return Warp(IDENTITY, size)
        factor = math.exp(math.log(self.low) + u * math.log(self.high / self.low))
        scaled = max(1, round(size[0] * factor)), max(1, round(size[1] * factor))
        y, x = _start(scaled[0], self.size[0], v), _start(scaled[1], self.size[1], w)
        return Warp(compose(scaling(size, scaled), ((1.0, 0.0, x), (0.0, 1.0, y))), self.size)


def _start(length: int, window: int, u: float) -> float:
    """Return a whole start in [0, length - window], or in [length - window, 0] if the window is larger."""
    room = abs(length - window) + 1
    start = min(int(u * room), room - 1)
    return float(start if length >= window else -start)
