"""Maxima of heat maps."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Peaks(NamedTuple):
    """The `k` highest maxima per map by falling score; maps with fewer are padded by scores of -inf."""

    scores: Tensor  # (..., k) float32
    x: Tensor  # (..., k) int64, columns
    y: Tensor  # (..., k) int64, rows


def is_maximum(heat: Tensor, kernel: int = 3) -> Tensor:
    """Return true for values that are the largest of their `kernel` x `kernel` window: (B, C, h, w) to bool.

    Of equal neighbours only the first in reading order is a maximum, so that a peak between two locations counts once.
    """
    *_, height, width = heat.shape
    _, winner = F.max_pool2d(heat, kernel, 1, kernel // 2, return_indices=True)
    return winner == torch.arange(height * width, device=heat.device).view(height, width)


def local_maxima(heat: Tensor, k: int, threshold: float, kernel: int = 3, across: bool = False) -> Peaks:
    """Return the `k` highest maxima above `threshold` of each map of (B, C, h, w): (B, C, k).

    across: return the k highest of all channels per image, (B, k), with the channel `y // h` and the row `y % h`.
    """
    batch, channels, _, width = heat.shape
    values = heat.float().masked_fill(~(is_maximum(heat, kernel) & (heat > threshold)), -torch.inf)
    flat = values.view(batch, -1) if across else values.view(batch, channels, -1)
    found = flat.topk(min(k, flat.shape[-1]), dim=-1)
    scores, index = found.values, found.indices
    if missing := k - scores.shape[-1]:
        scores, index = F.pad(scores, (0, missing), value=-torch.inf), F.pad(index, (0, missing))
    return Peaks(scores, index % width, index // width)
