"""Largest and smallest values in square windows, in a number of passes that grows with the logarithm of the side."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from densepred.types import VOID

NOTHING = 0
"""The smallest label: it changes no maximum."""


def extremes(x: Tensor, reach: int) -> tuple[Tensor, Tensor]:
    """Largest and smallest value within `reach` pixels, diagonals included: (H, W) -> twice (H - 2 reach, W - 2 reach).

    The windows are those that lie inside. `reach` is less than half of both sides.
    """
    side = 2 * reach + 1
    largest = _sliding(_sliding(x, side, 0, torch.maximum), side, 1, torch.maximum)
    smallest = _sliding(_sliding(x, side, 0, torch.minimum), side, 1, torch.minimum)
    return largest, smallest


def outline(labels: Tensor, reach: int) -> Tensor:
    """(H, W) bool: another label, or the outside of the image, is within `reach` pixels, diagonals included.

    For one label these are the pixels that an erosion by a square of 2 reach + 1 takes away.
    """
    found = torch.ones_like(labels, dtype=torch.bool)
    if 2 * reach < min(labels.shape):
        largest, smallest = extremes(labels, reach)
        found[reach : labels.shape[0] - reach, reach : labels.shape[1] - reach] = largest != smallest
    return found


def mixed(labels: Tensor, reach: int, void: bool = False) -> Tensor:
    """(H, W) bool: two different labels are within `reach` pixels of a pixel, itself included.

    VOID is no label, or with `void` one like the others. Nothing is assumed of the outside of the image. Labels are
    uint8.
    """
    pad = [reach] * 4
    high = torch.nn.functional.pad(labels if void else labels.masked_fill(labels == VOID, NOTHING), pad, value=NOTHING)
    low = torch.nn.functional.pad(labels, pad, value=VOID)
    return extremes(high, reach)[0] > extremes(low, reach)[1]


def _sliding(x: Tensor, length: int, dim: int, reduce: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """`reduce` over every `length` neighbours along a dimension, by windows of doubled length."""
    span = 1
    while span < length:
        step = min(span, length - span)
        rest = x.shape[dim] - step
        x = reduce(x.narrow(dim, 0, rest), x.narrow(dim, step, rest))
        span += step
    return x
