"""Means over grids of a map, as pyramid pooling takes them (arXiv 1612.01105)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def grid_means(x: Tensor, bins: int) -> Tensor:
    """Return the means of maps (B, C, h, w) over a grid of cells: (B, C, bins, bins).

    Cell i covers the rows from floor(i h / bins) to ceil((i + 1) h / bins), as in `F.adaptive_avg_pool2d`. An exported
    program takes them as products with shares: torch decides at the size of the trace if all cells are equally large.
    """
    if not torch.compiler.is_exporting():
        return F.adaptive_avg_pool2d(x, bins)
    rows, columns = (_shares(size, bins, x) for size in x.shape[-2:])
    return rows @ x @ columns.T


def _shares(size: int, bins: int, like: Tensor) -> Tensor:
    """Return the share of each of `size` rows in the mean of each cell: (bins, size), in the type of `like`."""
    cell, row = torch.arange(bins, device=like.device)[:, None], torch.arange(size, device=like.device)
    inside = (row >= cell * size // bins) & (row * bins < (cell + 1) * size)
    return (inside / inside.sum(1, keepdim=True)).to(like.dtype)
