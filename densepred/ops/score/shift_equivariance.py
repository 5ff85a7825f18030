"""Whether an answer moves with its image (Zhang 2019, arXiv 1904.11486)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

SHIFTS = ((0, 1), (1, 0), (1, 1), (2, 3), (3, 6), (5, 4), (6, 7), (7, 5))
"""Rows down and columns right: whole pixels of every remainder by 8, along the axes and across."""


def shift_equivariance(
    classes: Callable[[Tensor], Tensor], image: Tensor, shifts: Sequence[tuple[int, int]] = SHIFTS
) -> Tensor:
    """The share of pixels whose class stays when the image is shifted and the answer shifted back: (B,), 1 at best.

    image (B, C, H, W); `classes` takes such a batch and gives its class maps (B, H, W). With d the largest of the
    shifts, it is shown windows of (H - d) x (W - d), so that no pixel is invented at a border, and judged where all
    windows overlap. The mean is over shifts. Shifts beyond a quarter of the image are left out; where none remains the
    share is NaN.
    """
    height, width = image.shape[-2:]
    shifts = [(dy, dx) for dy, dx in shifts if 4 * dy <= height and 4 * dx <= width]
    if not shifts:
        return torch.full((len(image),), torch.nan, device=image.device)
    down, right = max(dy for dy, _ in shifts), max(dx for _, dx in shifts)
    rows, columns = height - down, width - right

    def seen(dy: int, dx: int) -> Tensor:
        """The answer to a window, cut to the pixels that every window holds."""
        found = classes(image[..., dy : dy + rows, dx : dx + columns])
        return found[:, down - dy : rows - dy, right - dx : columns - dx]

    still = seen(0, 0)
    return torch.stack([(seen(dy, dx) == still).float().mean((1, 2)) for dy, dx in shifts]).mean(0)
