"""Bilinear values of an image at source positions: which part is read, averaged first if it shrinks, and interpolated.

Every function computes the same for one image and, with tensors in place of numbers, for a batch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

# A position half-way between two pixels belongs to the later one, also if rounding lowered its last digits
HALF = 0.5 + 1e-6


@dataclass(frozen=True, slots=True)
class Sources:
    """Source positions of output pixels."""

    x: Tensor  # (H, W), or (1, W) if all rows agree
    y: Tensor  # (H, W), or (H, 1) if all columns agree
    inside: Tensor | None  # (H, W) bool, true if the source lies in the image; None if all do

    def every(self, step: int) -> Sources:
        """Return the positions of every `step`-th output pixel per axis."""
        inside = None if self.inside is None else self.inside[::step, ::step]
        return Sources(self.x[::step, ::step], self.y[::step, ::step], inside)


@dataclass(frozen=True, slots=True)
class Part:
    """The pixels of an image that a warp reads."""

    pixels: Tensor  # (C, h, w), a view of the image
    start: tuple[int, int]  # row and column of its first pixel
    shrink: tuple[int, int] | None  # rows and columns that are averaged before sampling

    @property
    def lengths(self) -> tuple[int, int]:
        """Rows and columns after averaging."""
        height, width = self.pixels.shape[-2:]
        rows, columns = self.shrink or (1, 1)
        return -(-height // rows), -(-width // columns)


def read(image: Tensor, matrix: tuple[tuple[float, float, float], ...], sources: Sources) -> Part:
    """Return the part of an image (C, H, W) that a warp of this matrix reads."""
    rows, columns = _seen(sources.y, image.shape[-2]), _seen(sources.x, image.shape[-1])
    (a, b, _), (d, e, _) = matrix
    rates = (max(math.hypot(*pair), 1e-9) for pair in ((d, e), (a, b)))
    shrink = tuple(2 ** max(0, math.floor(math.log2(rate) + 1e-6)) for rate in rates)
    start = rows.start, columns.start
    return Part(image[:, rows, columns], start, (shrink[0], shrink[1]) if max(shrink) > 1 else None)


def sample(part: Part, sources: Sources, size: tuple[int, int]) -> Tensor:
    """Return bilinear values (C, H, W) float32; beyond the border, those of the border."""
    (top, left), (height, width), (rows, columns) = part.start, part.lengths, part.shrink or (None, None)
    grid = torch.empty(1, *size, 2)
    grid[0, :, :, 0] = on_grid(sources.x, left, columns, width)
    grid[0, :, :, 1] = on_grid(sources.y, top, rows, height)
    return interpolated(part.pixels, part.shrink, grid)[0]


def on_grid(positions: Tensor, start: int | Tensor, shrink: int | Tensor | None, length: int | Tensor) -> Tensor:
    """Return positions of an axis as -1 to 1 over a part of the image that begins at `start`, averaged or not."""
    positions = positions - start
    if shrink is not None:
        positions = (positions + 0.5) / shrink - 0.5
    return (2 * positions + 1) / length - 1


def interpolated(pixels: Tensor, shrink: tuple[int, int] | None, grid: Tensor) -> Tensor:
    """Return the values (1, C, H, W) of pixels (C, h, w) at a grid (1, H, W, 2)."""
    part = pixels[None].float()
    # Average before shrinking: sampled alone, thin things would appear and vanish
    part = part if shrink is None else F.avg_pool2d(part, shrink, ceil_mode=True)
    return F.grid_sample(part, grid, padding_mode="border", align_corners=False)


def finished(out: Tensor, inside: Tensor | None, fill: Tensor | None, dtype: torch.dtype) -> Tensor:
    """Return sampled values (..., C, H, W) with the colour `fill` (..., C) outside; uint8 is rounded."""
    if inside is not None:
        assert fill is not None
        out = torch.where(inside, out, fill.to(torch.float32)[..., None, None])
    return out.add_(0.5).to(torch.uint8) if dtype == torch.uint8 else out


def _seen(positions: Tensor, length: int) -> slice:
    low, high = positions.aminmax()
    start = min(max(math.floor(low.item()) - 1, 0), length - 1)
    return slice(start, max(min(math.ceil(high.item()) + 2, length), start + 1))
