"""Where between its cells a heat map is highest: four ways from the literature.

B crops, K keypoints, h x w cells. Points are (B, K, 2), x and y in cells.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

FLOOR = 1e-10  # heat below it has no logarithm worth reading
UDP_RANGE = (1e-3, 50.0)


def highest(heat: Tensor) -> tuple[Tensor, Tensor]:
    """The value of the highest cell of each map (B, K) and the cell (B, K, 2), as float32."""
    value, index = heat.flatten(2).max(-1)
    width = heat.shape[-1]
    return value, torch.stack([index % width, index // width], -1).to(torch.float32)


def quarter(heat: Tensor, cells: Tensor) -> Tensor:
    """A quarter of a cell towards the higher neighbour on each axis, as Hourglass and HRNet have it.

    Maps whose highest cell is nearer to the border than the second cell from it (the last but one) stay.
    """
    at = _Cells(heat, cells)
    slope = torch.stack([at(1, 0) - at(-1, 0), at(0, 1) - at(0, -1)], -1)
    return cells + 0.25 * slope.sign() * at.within(2, 2)[..., None]


def dark(heat: Tensor, cells: Tensor, kernel: int, everywhere: bool = True) -> Tensor:
    """The top of the parabola that fits the logarithm of the blurred map (DARK, arXiv 1910.06278).

    Second differences are taken over two cells, as the authors' program does. Maps whose highest cell is one of the
    two outermost stay. `everywhere`: see `softened`.
    """
    at = _Cells(softened(heat, cells, kernel, everywhere).clamp_min(FLOOR).log(), cells)
    dx, dy = (at(1, 0) - at(-1, 0)) / 2, (at(0, 1) - at(0, -1)) / 2
    dxx = (at(2, 0) - 2 * at(0, 0) + at(-2, 0)) / 4
    dyy = (at(0, 2) - 2 * at(0, 0) + at(0, -2)) / 4
    dxy = (at(1, 1) - at(1, -1) - at(-1, 1) + at(-1, -1)) / 4
    det = dxx * dyy - dxy * dxy
    good = at.within(2, 3) & (det != 0)
    step = torch.stack([dxy * dy - dyy * dx, dxy * dx - dxx * dy], -1) / torch.where(good, det, 1.0)[..., None]
    return cells + torch.where(good[..., None], step, 0.0)


def udp(heat: Tensor, cells: Tensor, kernel: int, everywhere: bool = True) -> Tensor:
    """The same with neighbouring differences and up to the border, as UDP has it (arXiv 1911.07524)."""
    at = _Cells(softened(heat, cells, kernel, everywhere).clamp(*UDP_RANGE).log(), cells)
    dx, dy = (at(1, 0) - at(-1, 0)) / 2, (at(0, 1) - at(0, -1)) / 2
    tiny = torch.finfo(torch.float32).eps
    dxx = at(1, 0) - 2 * at(0, 0) + at(-1, 0)
    dyy = at(0, 1) - 2 * at(0, 0) + at(0, -1)
    dxy = (at(1, 1) - at(1, 0) - at(0, 1) + 2 * at(0, 0) - at(-1, 0) - at(0, -1) + at(-1, -1)) / 2
    dxx, dyy = dxx + tiny, dyy + tiny
    det = dxx * dyy - dxy * dxy
    step = torch.stack([dxy * dy - dyy * dx, dxy * dx - dxx * dy], -1)
    return cells + torch.where(det[..., None] != 0, step / torch.where(det != 0, det, 1.0)[..., None], 0.0)


def softened(heat: Tensor, cells: Tensor, kernel: int, everywhere: bool) -> Tensor:
    """The maps blurred, as published; or unless `everywhere`, but for those whose highest cell is near the border.

    There the zeros outside push what is found away from the border: a Gaussian of sigma 2 that stands 2 cells from it
    by 0.2 cells, of sigma 3 by 0.7. From two sigmas of the blur on it is less than 0.02.
    """
    if kernel == 1:
        return heat
    soft = blurred(heat, kernel)
    if everywhere:
        return soft
    margin = math.ceil(2 * _deviation(kernel))
    return torch.where(_Cells(heat, cells).within(margin, margin + 1)[..., None, None], soft, heat)


def _deviation(kernel: int) -> float:
    """OpenCV's for a kernel of so many cells: 2.0 for 11, 2.9 for 17."""
    return 0.3 * ((kernel - 1) / 2 - 1) + 0.8


def blurred(heat: Tensor, kernel: int) -> Tensor:
    """Each map under a Gaussian of `kernel` x `kernel` cells, its highest value as it was; zeros lie outside.

    As products with two banded matrices, which on a CPU take a tenth of the time of convolutions of one channel.
    """
    rows, columns = (_band(n, kernel, heat) for n in heat.shape[-2:])
    maps = rows @ heat @ columns
    top = maps.amax((-2, -1), keepdim=True)
    return maps * (heat.amax((-2, -1), keepdim=True) / torch.where(top == 0, 1.0, top))


def _band(length: int, kernel: int, like: Tensor) -> Tensor:
    """The symmetric matrix (length, length) of a blur along one axis."""
    places = torch.arange(length, device=like.device)
    distance = (places[:, None] - places).abs()
    steps = torch.arange(kernel, device=like.device) - kernel // 2
    deviation = _deviation(kernel)
    total = torch.exp(-(steps.to(like.dtype) ** 2) / (2 * deviation**2)).sum()
    weights = torch.exp(-(distance.to(like.dtype) ** 2) / (2 * deviation**2)) / total
    return weights.masked_fill(distance > kernel // 2, 0)


class _Cells:
    """The values of maps around a cell of each; beyond the border, those of the border."""

    def __init__(self, maps: Tensor, cells: Tensor) -> None:
        self.maps = maps.flatten(2)
        self.x, self.y = cells.long().unbind(-1)
        self.height, self.width = maps.shape[-2:]

    def __call__(self, right: int, down: int) -> Tensor:
        x, y = (self.x + right).clamp(0, self.width - 1), (self.y + down).clamp(0, self.height - 1)
        return self.maps.gather(-1, (y * self.width + x)[..., None])[..., 0]

    def within(self, first: int, last: int) -> Tensor:
        """Which cells are at least the `first`, counted from 0, and at most the `last` from the end, from 1."""
        x, y = self.x, self.y
        return (x >= first) & (x <= self.width - last) & (y >= first) & (y <= self.height - last)
