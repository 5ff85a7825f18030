"""Heat maps with a Gaussian at each point.

C channels, N points, maps of h x w.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

CHUNK = 2**22
"""Elements of windows in memory at the same time: 16 MB of float32."""


def heatmaps(
    points: Tensor,
    channels: Tensor,
    count: int,
    size: tuple[int, int],
    sigma: float | Tensor,
    reach: float | Tensor = 3.0,
    reduce: str = "amax",
) -> Tensor:
    """Draw exp(-d^2 / (2 sigma^2)) around points that need not lie on locations: maps (count, h, w) float32.

    points: (N, 2) x and y in locations of the map
    channels: (N,) the map that each point is drawn on
    size: (h, w) of a map
    sigma: standard deviation in locations, one for all points or (N,)
    reach: the square around a point ends at least this many sigmas away from it, one for all points or (N,)
    reduce: "amax" keeps the larger of Gaussians that overlap, "sum" adds them up
    """
    height, width = size
    maps = torch.zeros(count * height * width, device=points.device)
    if len(points) == 0:
        return maps.view(count, height, width)
    sigmas, reaches = (_each(value, points) for value in (sigma, reach))
    far = sigmas * reaches
    numbers = not isinstance(sigma, Tensor) and not isinstance(reach, Tensor)
    # The product of two numbers is known to the host: to read it from the device would wait for the device.
    widest = torch.tensor(sigma) * torch.tensor(reach) if numbers else far.max()
    radius = math.ceil(float(widest))
    steps = torch.arange(-radius, radius + 1, device=points.device)
    for part in torch.arange(len(points), device=points.device).split(max(1, CHUNK // len(steps) ** 2)):
        (x, columns), (y, rows) = (_axis(points[part, i], sigmas[part], steps, far[part]) for i in (0, 1))
        inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None]
        start = channels[part].long() * height * width
        places = start[:, None, None] + rows.clamp(0, height - 1)[:, :, None] * width
        places = places + columns.clamp(0, width - 1)[:, None]
        values = torch.where(inside, y[:, :, None] * x[:, None], 0)
        maps.scatter_reduce_(0, places.flatten(), values.flatten(), reduce)
    return maps.view(count, height, width)


def _each(value: float | Tensor, points: Tensor) -> Tensor:
    """Return one value per point, (N,) float32 on their device."""
    if isinstance(value, Tensor):
        return value.to(points.device, torch.float32).expand(len(points))
    return torch.full((len(points),), value, dtype=torch.float32, device=points.device)


def _axis(centers: Tensor, sigmas: Tensor, steps: Tensor, far: Tensor) -> tuple[Tensor, Tensor]:
    """Return the Gaussian along one axis, 0 beyond its reach, and its locations; both (N, steps)."""
    nearest = (centers + 0.5).floor()
    places = nearest.long()[:, None] + steps
    distance = places - centers[:, None]
    values = torch.exp(-(distance**2) / (2 * sigmas[:, None] ** 2))
    return torch.where(steps.abs() <= far[:, None].ceil(), values, 0), places
