"""Maxima of heat maps between their locations, by three methods of the literature.

B crops, K keypoints, maps of h x w. Points are (B, K, 2), x and y in locations of the map.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

FLOOR = 1e-10  # heat is raised to this much before its logarithm is taken
UDP_RANGE = (1e-3, 50.0)


def highest(heat: Tensor) -> tuple[Tensor, Tensor]:
    """Return the highest value of each map (B, K) and its location (B, K, 2), both float32."""
    value, index = heat.flatten(2).max(-1)
    width = heat.shape[-1]
    return value, torch.stack([index % width, index // width], -1).to(torch.float32)


def quarter(heat: Tensor, peaks: Tensor) -> Tensor:
    """Move peaks a quarter of a location towards the higher neighbour on each axis, as Hourglass and HRNet do.

    Peaks in the first two rows or columns, or in the last, are not refined.
    """
    at = _Neighbours(heat, peaks)
    slope = torch.stack([at(1, 0) - at(-1, 0), at(0, 1) - at(0, -1)], -1)
    return peaks + 0.25 * slope.sign() * at.within(2, 2)[..., None]


def dark(heat: Tensor, peaks: Tensor, kernel: int, everywhere: bool = True) -> Tensor:
    """Move peaks to the top of a parabola through the logarithm of the blurred map (DARK, arXiv 1910.06278).

    Second differences span two locations each way, as in the authors' program. Peaks in the two outermost rows or
    columns are not refined. `everywhere`: see `softened`.
    """
    at = _Neighbours(softened(heat, peaks, kernel, everywhere).clamp_min(FLOOR).log(), peaks)
    dx, dy = (at(1, 0) - at(-1, 0)) / 2, (at(0, 1) - at(0, -1)) / 2
    dxx = (at(2, 0) - 2 * at(0, 0) + at(-2, 0)) / 4
    dyy = (at(0, 2) - 2 * at(0, 0) + at(0, -2)) / 4
    dxy = (at(1, 1) - at(1, -1) - at(-1, 1) + at(-1, -1)) / 4
    det = dxx * dyy - dxy * dxy
    good = at.within(2, 3) & (det != 0)
    step = torch.stack([dxy * dy - dyy * dx, dxy * dx - dxx * dy], -1) / torch.where(good, det, 1.0)[..., None]
    return peaks + torch.where(good[..., None], step, 0.0)


def udp(heat: Tensor, peaks: Tensor, kernel: int, everywhere: bool = True) -> Tensor:
    """Move peaks as `dark` does, with differences of direct neighbours and up to the border (UDP, arXiv 1911.07524)."""
    at = _Neighbours(softened(heat, peaks, kernel, everywhere).clamp(*UDP_RANGE).log(), peaks)
    dx, dy = (at(1, 0) - at(-1, 0)) / 2, (at(0, 1) - at(0, -1)) / 2
    tiny = torch.finfo(torch.float32).eps
    dxx = at(1, 0) - 2 * at(0, 0) + at(-1, 0)
    dyy = at(0, 1) - 2 * at(0, 0) + at(0, -1)
    dxy = (at(1, 1) - at(1, 0) - at(0, 1) + 2 * at(0, 0) - at(-1, 0) - at(0, -1) + at(-1, -1)) / 2
    dxx, dyy = dxx + tiny, dyy + tiny
    det = dxx * dyy - dxy * dxy
    step = torch.stack([dxy * dy - dyy * dx, dxy * dx - dxx * dy], -1)
    return peaks + torch.where(det[..., None] != 0, step / torch.where(det != 0, det, 1.0)[..., None], 0.0)


def softened(heat: Tensor, peaks: Tensor, kernel: int, everywhere: bool) -> Tensor:
    """Blur the maps, as published; unless `everywhere`, leave out those with the peak near the border.

    There the zeros outside move a peak away from the border: 2 locations from it by 0.2 locations if the Gaussian has a
    sigma of 2, and by 0.7 if 3. From two sigmas of the blur on the error is less than 0.02.
    """
    if kernel == 1:
        return heat
    soft = blurred(heat, kernel)
    if everywhere:
        return soft
    margin = math.ceil(2 * _deviation(kernel))
    return torch.where(_Neighbours(heat, peaks).within(margin, margin + 1)[..., None, None], soft, heat)


def _deviation(kernel: int) -> float:
    """Return the standard deviation that OpenCV takes for a kernel of this side: 2.0 for 11, 2.9 for 17."""
    return 0.3 * ((kernel - 1) / 2 - 1) + 0.8


def blurred(heat: Tensor, kernel: int) -> Tensor:
    """Blur each map by a Gaussian of `kernel` x `kernel`, padded by zeros, and restore its highest value.

    Two products with banded matrices take a tenth of the time of single-channel convolutions on a CPU.
    """
    rows, columns = (_band(n, kernel, heat) for n in heat.shape[-2:])
    maps = rows @ heat @ columns
    top = maps.amax((-2, -1), keepdim=True)
    return maps * (heat.amax((-2, -1), keepdim=True) / torch.where(top == 0, 1.0, top))


def _band(length: int, kernel: int, like: Tensor) -> Tensor:
    """Return the symmetric matrix (length, length) of a blur along one axis."""
    places = torch.arange(length, device=like.device)
    distance = (places[:, None] - places).abs()
    steps = torch.arange(kernel, device=like.device) - kernel // 2
    deviation = _deviation(kernel)
    total = torch.exp(-(steps.to(like.dtype) ** 2) / (2 * deviation**2)).sum()
    weights = torch.exp(-(distance.to(like.dtype) ** 2) / (2 * deviation**2)) / total
    return weights.masked_fill(distance > kernel // 2, 0)


class _Neighbours:
    """Values of maps around one location per map; beyond the border, those of the border."""

    def __init__(self, maps: Tensor, peaks: Tensor) -> None:
        self.maps = maps.flatten(2)
        self.x, self.y = peaks.long().unbind(-1)
        self.height, self.width = maps.shape[-2:]

    def __call__(self, right: int, down: int) -> Tensor:
        x, y = (self.x + right).clamp(0, self.width - 1), (self.y + down).clamp(0, self.height - 1)
        return self.maps.gather(-1, (y * self.width + x)[..., None])[..., 0]

    def within(self, first: int, last: int) -> Tensor:
        """Return true for locations from `first`, counted from 0, to `last` from the end, counted from 1."""
        x, y = self.x, self.y
        return (x >= first) & (x <= self.width - last) & (y >= first) & (y <= self.height - last)
