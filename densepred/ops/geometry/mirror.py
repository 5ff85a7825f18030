"""Images that go on beyond their edges as their own mirror images, as far as one likes."""

from __future__ import annotations

import torch
from torch import Tensor


def mirror_index(start: int, stop: int, length: int, device: torch.device | None = None) -> Tensor:
    """Which of 0..length - 1 is seen at the positions start..stop - 1 of a mirrored line; the edges are not repeated.

    `F.pad(mode="reflect")` gives the same, but only up to length - 1 beyond an edge.

    >>> mirror_index(-4, 6, 3).tolist()
    [0, 1, 2, 1, 0, 1, 2, 1, 0, 1]
    """
    period = max(1, 2 * (length - 1))
    index = torch.arange(start, stop, device=device).remainder(period)
    return torch.minimum(index, period - index) if length > 1 else index


def mirrored(x: Tensor, rows: tuple[int, int], columns: tuple[int, int]) -> Tensor:
    """The rows and columns start..stop - 1 of (..., H, W), either of which may lie beyond it."""
    down = mirror_index(*rows, x.shape[-2], x.device)
    across = mirror_index(*columns, x.shape[-1], x.device)
    return x.index_select(-2, down).index_select(-1, across)
