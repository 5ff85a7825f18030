"""Centers of instances: where they are in the truth, and where a heat map says that they are.

N instances, K centers, h x w cells. Points are x and y.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from densepred.ops.heatmap.parabola import offsets


class Centers(NamedTuple):
    """By falling score."""

    points: Tensor  # (K, 2) float32, cells
    scores: Tensor  # (K,) float32


def means(instances: Tensor, count: int) -> Tensor:
    """The mean position of the pixels of each instance, (count, 2) float32; not a number for one without pixels.

    instances: (H, W), 0 for none and i + 1 for the i-th.
    """
    y, x = instances.nonzero(as_tuple=True)
    owner = instances[y, x].long() - 1
    sums = torch.zeros(3, count, dtype=torch.float64, device=instances.device)
    for row, values in zip(sums, (x, y, torch.ones_like(x)), strict=True):
        row.index_add_(0, owner, values.double())
    return (sums[:2] / sums[2]).T.float()


def own_pixels(instances: Tensor, points: Tensor) -> Tensor:
    """Of each instance the pixel nearest to its point (N, 2), as (N, 2): a region's mean may lie outside it."""
    y, x = instances.nonzero(as_tuple=True)
    owner = instances[y, x].long() - 1
    distance = (x - points[owner, 0]).square() + (y - points[owner, 1]).square()
    least = distance.new_full((len(points),), torch.inf).scatter_reduce(0, owner, distance, "amin")
    nearest = (distance == least[owner]).nonzero()[:, 0].flip(0)  # of equal ones the first is kept
    found = points.clone()
    found[owner[nearest]] = torch.stack([x[nearest], y[nearest]], 1).to(points.dtype)
    return found


def peaks(heat: Tensor, most: int, threshold: float, kernel: tuple[int, int], sigma: float | None) -> Centers:
    """The `most` highest maxima of a map (h, w) above `threshold`, each the largest of the `kernel` window around it.

    Of equal values in a window the first in reading order counts. A parabola through the logarithms of a maximum and
    its neighbours places it between cells; `sigma`, in cells, is that of the Gaussians. None leaves it on its cell.
    """
    heat = heat.float()
    width = heat.shape[1]
    index = (heat > threshold).flatten().nonzero()[:, 0]
    # Nearly all are sorted out by their neighbours: few look at the whole window.
    for window in ((min(3, kernel[0]), min(3, kernel[1])), kernel):
        index = index[_leads(heat, index, window)]
    scores, order = heat.flatten()[index].sort(descending=True, stable=True)
    scores, index = scores[:most], index[order[:most]]
    x, y = index % width, index // width
    points = torch.stack([x, y], 1).float()
    if sigma is not None:
        points = points + offsets(heat[None], torch.zeros_like(x), x, y, sigma)
    return Centers(points, scores)


def _leads(heat: Tensor, index: Tensor, window: tuple[int, int]) -> Tensor:
    """Which cells hold the largest value of their window, of equal ones the first."""
    height, width = heat.shape
    flat = heat.flatten()
    value, x, y = flat[index], index % width, index // width
    leads = torch.ones_like(index, dtype=torch.bool)
    for down in range(-(window[0] // 2), window[0] // 2 + 1):
        for across in range(-(window[1] // 2), window[1] // 2 + 1):
            if down == across == 0:
                continue
            row, column = y + down, x + across
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            other = flat[(index + down * width + across).clamp(0, len(flat) - 1)]
            loses = other >= value if (down, across) < (0, 0) else other > value
            leads &= ~(loses & inside)
    return leads
