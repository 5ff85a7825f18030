"""Centers of instances, from their pixels and from a heat map.

N instances, K centers, maps of h x w. Points are x and y.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from densepred.ops.heatmap.parabola import offsets


class Centers(NamedTuple):
    """Predicted centers by falling score."""

    points: Tensor  # (K, 2) float32, in locations of the heat map
    scores: Tensor  # (K,) float32


def means(instances: Tensor, count: int) -> Tensor:
    """Return the mean position of the pixels of each instance, (count, 2) float32; NaN for one without pixels.

    instances: (H, W), 0 for none and i + 1 for the i-th.
    """
    y, x = instances.nonzero(as_tuple=True)
    owner = instances[y, x].long() - 1
    sums = torch.zeros(3, count, dtype=torch.float64, device=instances.device)
    for row, values in zip(sums, (x, y, torch.ones_like(x)), strict=True):
        row.index_add_(0, owner, values.double())
    return (sums[:2] / sums[2]).T.float()


def own_pixels(instances: Tensor, points: Tensor) -> Tensor:
    """Return the pixel of each instance nearest to its point, (N, 2): the mean of a region may lie outside it.

    instances: (H, W), 0 for none and i + 1 for the i-th.
    points: (N, 2)
    """
    y, x = instances.nonzero(as_tuple=True)
    owner = instances[y, x].long() - 1
    distance = (x - points[owner, 0]).square() + (y - points[owner, 1]).square()
    least = distance.new_full((len(points),), torch.inf).scatter_reduce(0, owner, distance, "amin")
    nearest = (distance == least[owner]).nonzero()[:, 0].flip(0)  # of equal distances the first pixel is kept
    found = points.clone()
    found[owner[nearest]] = torch.stack([x[nearest], y[nearest]], 1).to(points.dtype)
    return found


def peaks(heat: Tensor, most: int, threshold: float, kernel: tuple[int, int], sigma: float | None) -> Centers:
    """Return the `most` highest maxima of a map (h, w) above `threshold`, each the largest of a window around it.

    Of equal values in a window the first in reading order counts.

    kernel: (rows, columns) of the window, odd.
    sigma: standard deviation of the Gaussians in locations, for `parabola.offsets`; None leaves peaks on locations.
    """
    heat = heat.float()
    width = heat.shape[1]
    high = heat > threshold
    if heat.device.type == "cpu":
        index = high.flatten().nonzero()[:, 0]
        # Sort out nearly all by their neighbours: few are compared with the whole window.
        for window in ((min(3, kernel[0]), min(3, kernel[1])), kernel):
            index = index[_leads(heat, index, window)]
    else:
        index = (high & _leads_everywhere(heat, kernel)).flatten().nonzero()[:, 0]
    scores, order = heat.flatten()[index].sort(descending=True, stable=True)
    scores, index = scores[:most], index[order[:most]]
    x, y = index % width, index // width
    points = torch.stack([x, y], 1).float()
    if sigma is not None:
        points = points + offsets(heat[None], torch.zeros_like(x), x, y, sigma)
    return Centers(points, scores)


def _leads(heat: Tensor, index: Tensor, window: tuple[int, int]) -> Tensor:
    """Return true for locations with the largest value of their window, the first of equal ones: bool like `index`."""
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


def _leads_everywhere(heat: Tensor, window: tuple[int, int]) -> Tensor:
    """Return what `_leads` does for all locations, (h, w), by one kernel instead of some for each neighbour."""
    known = heat.nan_to_num(nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf)[None]
    _, winner = F.max_pool2d(known, window, 1, (window[0] // 2, window[1] // 2), return_indices=True)
    return winner[0] == torch.arange(heat.numel(), device=heat.device).view(heat.shape)
