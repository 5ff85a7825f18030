"""Windows that slide over a large image, and how what they say is blended, or set side by side."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from densepred.contracts import Unpadded
from densepred.types import UserError

SPREAD = 1 / 8  # standard deviation of the blending weights, in sides of the window
FLOOR = 1e-3  # the least weight: a pixel in the corner of the only window that sees it must count


def positions(length: int, window: int, overlap: float) -> list[int]:
    """Starts of windows that cover 0..length evenly, neighbours sharing at least `overlap` of a window.

    >>> positions(10, 4, 0.5)
    [0, 2, 4, 6]
    """
    if window >= length:
        return [0]
    step = max(1, int(window * (1 - overlap)))
    count = math.ceil((length - window) / step) + 1
    return [round(i * (length - window) / (count - 1)) for i in range(count)]


def blend_weights(size: tuple[int, int], device: torch.device | None = None) -> Tensor:
    """A Gaussian bump (H, W), 1 in the middle of a window, so that windows fade into one another.

    Isensee et al., nnU-Net, Nature Methods 2021, uses the same spread.
    """

    def bump(length: int) -> Tensor:
        x = torch.arange(length, dtype=torch.float32, device=device) - (length - 1) / 2
        return torch.exp(-0.5 * (x / (SPREAD * length)) ** 2)

    return (bump(size[0])[:, None] * bump(size[1])).clamp(min=FLOOR)


@dataclass(frozen=True, slots=True)
class Cut:
    """How one axis is cut into windows whose middles abut: window i answers for `kept` pixels from i * kept on."""

    side: int  # of a window
    margin: int  # of context at either end of it, beyond the image as its mirror image
    kept: int

    def windows(self, length: int) -> list[tuple[tuple[int, int], tuple[int, int]]]:
        """What each window sees and what is kept of it, as (start, stop) in the image."""
        starts = range(0, length, self.kept)
        return [((a - self.margin, a - self.margin + self.side), (a, min(a + self.kept, length))) for a in starts]


def cut(length: int, tile: int, overlap: float) -> Cut:
    """Windows of `tile` pixels, of which neighbours share `overlap`; one without context where it sees everything.

    >>> cut(100, 32, 0.5).windows(100)[:2]
    [((-8, 24), (0, 16)), ((8, 40), (16, 32))]
    """
    if tile >= length:
        return Cut(length, 0, length)
    margin = min(math.ceil(tile * overlap / 2), (tile - 1) // 2)
    return Cut(tile, margin, tile - 2 * margin)


def cut_unpadded(length: int, tile: int, model: Unpadded) -> Cut:
    """The overlap-tile strategy of U-Net (arXiv 1505.04597): the largest windows up to `tile` that the model takes.

    Several windows start multiples of `model.step` apart: so their poolings meet the same pixels as those of one window
    that sees everything, and the answers are the same.
    """
    side = min(model.fit(tile), model.fit(length + 2 * model.margin + model.step - 1))
    answered = side - 2 * model.margin
    kept = answered if answered >= length else answered // model.step * model.step
    if kept < 1:
        least = model.fit(2 * model.margin + 2 * model.step - 1)
        raise UserError(
            f"tile: {tile}; windows of this model lose {2 * model.margin} pixels: give at least {least}, or null"
        )
    return Cut(side, model.margin, kept)
