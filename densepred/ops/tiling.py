"""Windows that slide over a large image, and how what they say is blended."""

from __future__ import annotations

import math

import torch
from torch import Tensor

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
