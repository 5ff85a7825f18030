"""A random scale of the whole image; its size changes, so batches need a crop after it."""

from __future__ import annotations

import math

import torch
from torch import Generator

from densepred.ops.geometry.warp import Warp, scaling
from densepred.types import UserError


class Scale:
    """Scale by a factor between `low` and `high`, log-uniform, so that doubling is as likely as halving."""

    def __init__(self, low: float = 0.5, high: float = 2.0) -> None:
        if not 0 < low <= high:
            raise UserError(f"scale: low {low}, high {high}; give 0 < low <= high")
        self.low, self.high = low, high

    def params(self, size: tuple[int, int], generator: Generator) -> Warp:
        u = torch.rand((), generator=generator, dtype=torch.float64).item()
        factor = math.exp(math.log(self.low) + u * math.log(self.high / self.low))
        scaled = max(1, round(size[0] * factor)), max(1, round(size[1] * factor))
        return Warp(scaling(size, scaled), scaled)
