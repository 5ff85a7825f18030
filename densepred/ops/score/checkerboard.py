"""Checkerboard artefacts of uneven upsampling (Odena et al. 2016, doi 10.23915/distill.00003)."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

REACH = 1 / 16
"""Radius around a frequency in cycles per pixel: patterns that cover only some objects have wider peaks."""


def checkerboard(maps: Tensor, period: int = 2) -> Tensor:
    """Compute the fraction of the non-constant energy near the frequencies of the grid, (B,) from 0 to 1.

    maps: (B, C, H, W)
    period: pixels. For 2 the frequencies are the three Nyquist ones: stripes along rows, stripes along columns, and the
        checkerboard. In general they are all multiples of 1 / period except the constant.

    Frequencies are those of the discrete Fourier transform under a Hann window, so that borders do not count as edges.
    White noise scores about the area of the discs, 0.037 for a period of 2. Smooth maps score nearly 0.
    """
    maps = maps.to(torch.promote_types(maps.dtype, torch.float32))
    height, width = maps.shape[-2:]
    window = _hann(height, maps)[:, None] * _hann(width, maps)
    centered = maps - (maps * window).sum((-2, -1), keepdim=True) / window.sum()
    energy = torch.fft.fft2(centered * window).abs().square().sum(1)
    energy[:, 0, 0] = 0
    rows, columns = (torch.fft.fftfreq(n, dtype=maps.dtype, device=maps.device) for n in (height, width))
    near = torch.zeros(height, width, dtype=torch.bool, device=maps.device)
    for i, j in itertools.product(range(period), repeat=2):
        if i or j:
            near |= _away(rows, i / period)[:, None].square() + _away(columns, j / period).square() <= REACH**2
    total = energy.sum((-2, -1))
    # Rounding errors of a constant map have energy and a flat spectrum.
    rounding = (4 * torch.finfo(maps.dtype).eps * maps.abs().amax((1, 2, 3)) * height * width).square() * maps.shape[1]
    return torch.where(total > rounding, (energy * near).sum((-2, -1)) / total, 0)


def _away(frequencies: Tensor, center: float) -> Tensor:
    """Compute the distance on the circle of frequencies, where 0.5 equals -0.5."""
    distance = (frequencies - center).abs() % 1
    return torch.minimum(distance, 1 - distance)


def _hann(length: int, like: Tensor) -> Tensor:
    """Return a Hann window without the zeros at both ends, so that a map of one row has energy."""
    place = torch.arange(1, length + 1, dtype=like.dtype, device=like.device)
    return torch.sin(torch.pi * place / (length + 1)).square()
