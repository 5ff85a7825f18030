"""Peaks between locations: the top of a parabola through the logarithms of a maximum and its neighbours.

The logarithm of a Gaussian is a parabola, so the result is exact where one Gaussian stands alone.
P peaks, K maps of h x w.
"""

from __future__ import annotations

import torch
from torch import Tensor

LEAST = 1e-6
"""Heat is raised to this much before its logarithm is taken; a flatter bend than this is taken for none."""


def offsets(heat: Tensor, maps: Tensor, x: Tensor, y: Tensor, sigma: float) -> Tensor:
    """Return how far from their locations the tops of maxima lie, (P, 2) float32: x and y from -0.5 to 0.5.

    heat: (K, h, w)
    maps, x, y: (P,) int64, the map, the column and the row of each maximum.
    sigma: standard deviation of the Gaussians in locations. It stands in for a neighbour beyond the border.
    """
    height, width = heat.shape[-2:]
    log = heat.float().clamp_min(LEAST).log()
    peak = log[maps, y, x]
    left, right = log[maps, y, (x - 1).clamp_min(0)], log[maps, y, (x + 1).clamp_max(width - 1)]
    above, below = log[maps, (y - 1).clamp_min(0), x], log[maps, (y + 1).clamp_max(height - 1), x]
    dx = top(left, peak, right, x == 0, x == width - 1, sigma)
    dy = top(above, peak, below, y == 0, y == height - 1, sigma)
    return torch.stack([dx, dy], 1)


def top(before: Tensor, peak: Tensor, after: Tensor, first: Tensor, last: Tensor, sigma: float) -> Tensor:
    """Return the place from -0.5 to 0.5 where a parabola through three values at -1, 0 and 1 is highest, (P,).

    first, last: (P,) bool, true where `before` or `after` lies beyond the border. That value is then replaced: the bend
        becomes the one of the logarithm of a Gaussian.
    """
    missing = 2 * peak - 1 / sigma**2
    before = torch.where(first & ~last, missing - after, before)
    after = torch.where(last & ~first, missing - before, after)
    bend = before - 2 * peak + after
    return torch.where(bend < -LEAST, (before - after) / (2 * bend.clamp_max(-LEAST)), 0).clamp(-0.5, 0.5)
