"""Reflection padding of any width."""

from __future__ import annotations

import torch
from torch import Tensor


def mirror_index(start: int, stop: int, length: int, device: torch.device | None = None) -> Tensor:
    """Return the source, from 0 to length - 1, of the positions start to stop - 1 of a line with reflection padding.

    Edges are not repeated. `F.pad(mode="reflect")` gives the same, up to length - 1 beyond an edge only.

    >>> mirror_index(-4, 6, 3).tolist()
    [0, 1, 2, 1, 0, 1, 2, 1, 0, 1]
    """
    period = max(1, 2 * (length - 1))
    whole = torch.full((1,), period, device=device)  # as a tensor: ONNX has no remainder by the size of an image
    index = torch.arange(start, stop, device=device).remainder(whole)
    return torch.minimum(index, period - index) if length > 1 else index


def continued(x: Tensor, height: int, width: int) -> Tensor:
    """Return (..., height, width) for (..., H, W): continued by reflection at the right and below, or x itself."""
    return x if x.shape[-2:] == (height, width) else mirrored(x, (0, height), (0, width))


def mirrored(x: Tensor, rows: tuple[int, int], columns: tuple[int, int]) -> Tensor:
    """Return the rows and columns start to stop - 1 of (..., H, W), continued by reflection beyond its edges."""
    down = mirror_index(*rows, x.shape[-2], x.device)
    across = mirror_index(*columns, x.shape[-1], x.device)
    return x.index_select(-2, down).index_select(-1, across)
