"""Equivariance of class maps to shifts of the image (Zhang 2019, arXiv 1904.11486)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

SHIFTS = ((0, 1), (1, 0), (1, 1), (2, 3), (3, 6), (5, 4), (6, 7), (7, 5))
"""Rows down and columns right: all remainders of 8 pixels, along the axes and diagonally."""


def shift_equivariance(
    classes: Callable[[Tensor], Tensor], image: Tensor, shifts: Sequence[tuple[int, int]] = SHIFTS
) -> Tensor:
    """Compute the fraction of pixels that keep their class when the image is shifted: (B,), 1 at best.

    classes: maps images (B, C, H, W) to class maps (B, H, W)
    image: (B, C, H, W)
    shifts: rows and columns; those beyond a quarter of the image are left out

    With d the largest shift, inputs are windows of (H - d) x (W - d), so that no padding is needed. Class maps are
    shifted back and compared where all windows overlap. The result is the mean over shifts; NaN without any.
    """
    height, width = image.shape[-2:]
    shifts = [(dy, dx) for dy, dx in shifts if 4 * dy <= height and 4 * dx <= width]
    if not shifts:
        return torch.full((len(image),), torch.nan, device=image.device)
    down, right = max(dy for dy, _ in shifts), max(dx for _, dx in shifts)
    rows, columns = height - down, width - right

    def seen(dy: int, dx: int) -> Tensor:
        """Predict a window and crop it to the pixels that all windows share."""
        found = classes(image[..., dy : dy + rows, dx : dx + columns])
        return found[:, down - dy : rows - dy, right - dx : columns - dx]

    still = seen(0, 0)
    return torch.stack([(seen(dy, dx) == still).float().mean((1, 2)) for dy, dx in shifts]).mean(0)
