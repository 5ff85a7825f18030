"""Largest and smallest values in square windows; the number of passes is logarithmic in the side."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from densepred.types import VOID

NOTHING = 0
"""Smallest label, which changes no maximum."""


def extremes(x: Tensor, reach: int) -> tuple[Tensor, Tensor]:
    """Return the largest and smallest value within `reach` pixels, diagonals included: two (H - 2 reach, W - 2 reach).

    x: (H, W), both sides longer than 2 `reach`; only windows inside the map count
    """
    side = 2 * reach + 1
    largest = _sliding(_sliding(x, side, 0, torch.maximum), side, 1, torch.maximum)
    smallest = _sliding(_sliding(x, side, 0, torch.minimum), side, 1, torch.minimum)
    return largest, smallest


def outline(labels: Tensor, reach: int) -> Tensor:
    """Mark pixels with another label, or the outside of the image, within `reach` pixels, diagonals included.

    labels: (H, W); returns (H, W) bool. Per label these are the pixels that an erosion by a square of side
    2 reach + 1 removes.
    """
    found = torch.ones_like(labels, dtype=torch.bool)
    if 2 * reach < min(labels.shape):
        largest, smallest = extremes(labels, reach)
        found[reach : labels.shape[0] - reach, reach : labels.shape[1] - reach] = largest != smallest
    return found


def mixed(labels: Tensor, reach: int, void: bool = False) -> Tensor:
    """Mark pixels with two different labels within `reach` pixels, their own included.

    labels: (H, W) uint8; returns (H, W) bool. VOID is ignored, or counts as a label with `void`. The outside of the
    image is ignored.
    """
    pad = [reach] * 4
    high = torch.nn.functional.pad(labels if void else labels.masked_fill(labels == VOID, NOTHING), pad, value=NOTHING)
    low = torch.nn.functional.pad(labels, pad, value=VOID)
    return extremes(high, reach)[0] > extremes(low, reach)[1]


def _sliding(x: Tensor, length: int, dim: int, reduce: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Apply `reduce` to every window of `length` values along a dimension, by windows of doubled length."""
    span = 1
    while span < length:
        step = min(span, length - span)
        rest = x.shape[dim] - step
        x = reduce(x.narrow(dim, 0, rest), x.narrow(dim, step, rest))
        span += step
    return x
