"""Joint histogram of two maps of ids: the number of pixels per pair of ids."""

from __future__ import annotations

import torch
from torch import Tensor

DENSE = 2**22
"""Largest number of possible pairs that are counted in a table; with more, pixels are sorted."""


def pair_table(first: Tensor, second: Tensor, rows: int, columns: int) -> Tensor:
    """Count pixels per pair of ids, (rows, columns) int64.

    first: any shape, integers from 0 to rows - 1
    second: the same shape, integers from 0 to columns - 1
    """
    index = (first.flatten().to(torch.int32) * columns).add_(second.flatten())
    return torch.bincount(index, minlength=rows * columns).view(rows, columns)


def pair_counts(first: Tensor, second: Tensor, rows: int, columns: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the pairs of ids that share pixels and their number of pixels: three (P,) int64, in order of the pairs.

    Arguments as in `pair_table`, for any number of ids.
    """
    if rows * columns > DENSE:
        found, pixels = (first.flatten().long() * columns + second.flatten()).unique(return_counts=True)
        return found // columns, found % columns, pixels
    table = pair_table(first, second, rows, columns)
    row, column = table.nonzero(as_tuple=True)
    return row, column, table[row, column]
