"""Tiles of a large image: where they lie, and the weights or margins by which their predictions are merged."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from densepred.contracts import Unpadded
from densepred.types import UserError

SPREAD = 1 / 8  # standard deviation of the blending weights, in sides of the window
FLOOR = 1e-3  # least weight: a pixel in the corner of its only window must count


def positions(length: int, window: int, overlap: float) -> list[int]:
    """Return the starts of windows that cover 0 to length evenly; neighbours share at least `overlap` of a window.

    >>> positions(10, 4, 0.5)
    [0, 2, 4, 6]
    """
    if window >= length:
        return [0]
    step = max(1, int(window * (1 - overlap)))
    count = math.ceil((length - window) / step) + 1
    return [round(i * (length - window) / (count - 1)) for i in range(count)]


def blend_weights(size: tuple[int, int], device: torch.device | None = None) -> Tensor:
    """Return a Gaussian (H, W) around the center of a window, so that windows fade into one another.

    The spread is that of nnU-Net (Isensee et al., Nature Methods 2021).
    """

    def bump(length: int) -> Tensor:
        x = torch.arange(length, dtype=torch.float32, device=device) - (length - 1) / 2
        return torch.exp(-0.5 * (x / (SPREAD * length)) ** 2)

    return (bump(size[0])[:, None] * bump(size[1])).clamp(min=FLOOR)


@dataclass(frozen=True, slots=True)
class Cut:
    """Windows along one axis with central parts that abut: window i keeps `kept` pixels from i * kept on."""

    side: int  # of a window
    margin: int  # of context at either end, continued by reflection beyond the image
    kept: int

    def windows(self, length: int) -> list[tuple[tuple[int, int], tuple[int, int]]]:
        """Return per window its own extent and the part that is kept, each as (start, stop) in the image."""
        starts = range(0, length, self.kept)
        return [((a - self.margin, a - self.margin + self.side), (a, min(a + self.kept, length))) for a in starts]


def cut(length: int, tile: int, overlap: float) -> Cut:
    """Cut an axis into windows of `tile` pixels that share `overlap`; a window that covers all has no context.

    >>> cut(100, 32, 0.5).windows(100)[:2]
    [((-8, 24), (0, 16)), ((8, 40), (16, 32))]
    """
    if tile >= length:
        return Cut(length, 0, length)
    margin = min(math.ceil(tile * overlap / 2), (tile - 1) // 2)
    return Cut(tile, margin, tile - 2 * margin)


def cut_unpadded(length: int, tile: int, model: Unpadded) -> Cut:
    """Cut an axis by the overlap-tile strategy of U-Net (arXiv 1505.04597): the largest windows that the model takes.

    Windows are at most `tile` pixels and start multiples of `model.step` apart. Their poolings then meet the same
    pixels as those of one window over everything, and predictions are equal.

    Raises UserError if a window of `tile` pixels keeps nothing.
    """
    side = min(model.fit(tile), model.fit(length + 2 * model.margin + model.step - 1))
    predicted = side - 2 * model.margin
    kept = predicted if predicted >= length else predicted // model.step * model.step
    if kept < 1:
        least = model.fit(2 * model.margin + 2 * model.step - 1)
        raise UserError(
            f"tile: {tile}; windows of this model lose {2 * model.margin} pixels: give at least {least}, or null"
        )
    return Cut(side, model.margin, kept)
