"""Grid distortion: columns and rows of a grid are stretched and squeezed, as one warp of image and annotations."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from densepred.ops.geometry.warp import IDENTITY, Warp
from densepred.types import UserError


class Grid:
    """Give each of `cells` columns and rows a random share of the size with probability `p`; the size stays.

    amount: largest relative change of a column's width before all are scaled to fill the image, below a third. Then
    the map can be inverted for points, and the image never folds.
    """

    def __init__(self, p: float = 0.5, cells: int = 5, amount: float = 0.3) -> None:
        if cells < 1 or not 0 <= amount < 1 / 3:
            raise UserError(f"grid: cells {cells}, amount {amount}; give at least 1 cell and 0 <= amount < 1/3")
        self.p, self.cells, self.amount = p, cells, amount

    def params(self, size: tuple[int, int], generator: Generator) -> Warp:
        chance = torch.rand((), generator=generator, dtype=torch.float64).item()
        shares = 1 + self.amount * (2 * torch.rand(2, self.cells, generator=generator, dtype=torch.float64) - 1)
        if chance >= self.p:
            return Warp(IDENTITY, size)
        rows, columns = (_shifts(length, share) for length, share in zip(size, shares, strict=True))
        flow = torch.stack((columns.expand(*size), rows[:, None].expand(*size)))
        return Warp(IDENTITY, size, flow.float().contiguous())


def _shifts(length: int, shares: Tensor) -> Tensor:
    """Return the displacement (length,) of each pixel: piecewise linear, 0 at both ends."""
    knots = torch.cat((shares.new_zeros(1), shares.cumsum(0))) / shares.sum()
    place = torch.arange(length, dtype=torch.float64) / max(1, length - 1) * len(shares)
    cell = place.long().clamp(max=len(shares) - 1)
    source = knots[cell] + (place - cell) * (knots[cell + 1] - knots[cell])
    return source * max(0, length - 1) - torch.arange(length, dtype=torch.float64)
