"""Random mirroring."""

from __future__ import annotations

import torch
from torch import Generator

from densepred.ops.geometry.warp import Warp


class Flip:
    """Mirror left-right with probability `horizontal` and top-bottom with probability `vertical`."""

    def __init__(self, horizontal: float = 0.5, vertical: float = 0.0) -> None:
        self.horizontal, self.vertical = horizontal, vertical

    def params(self, size: tuple[int, int], generator: Generator) -> Warp:
        u, v = torch.rand(2, generator=generator, dtype=torch.float64).tolist()
        row = (-1.0, 0.0, size[1] - 1.0) if u < self.horizontal else (1.0, 0.0, 0.0)
        column = (0.0, -1.0, size[0] - 1.0) if v < self.vertical else (0.0, 1.0, 0.0)
        return Warp((row, column), size)
