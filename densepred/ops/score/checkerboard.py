"""How much of a map is a checkerboard, which uneven upsampling leaves (Odena et al. 2016, 10.23915/distill.00003)."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

REACH = 1 / 16
"""Cycles a pixel around a frequency that still count for it: patterns come and go with the objects that they lie on."""


def checkerboard(maps: Tensor, period: int = 2) -> Tensor:
    """(B, C, H, W) -> (B,): the share of the energy that is not constant near the frequencies of the grid, 0 to 1.

    Those are, for the default period of two pixels, the three Nyquist frequencies: stripes along rows, along columns,
    and the checkerboard. In general all multiples of 1 / period but the constant. Frequencies are those of the discrete
    Fourier transform under a Hann window, without which the borders would count as edges. White noise scores about the
    area of the discs, 0.037 for a period of 2; smooth maps score nearly 0; a constant map 0.
    """
    maps = maps.to(torch.promote_types(maps.dtype, torch.float32))
    height, width = maps.shape[-2:]
    window = _hann(height, maps)[:, None] * _hann(width, maps)
    centred = maps - (maps * window).sum((-2, -1), keepdim=True) / window.sum()
    energy = torch.fft.fft2(centred * window).abs().square().sum(1)
    energy[:, 0, 0] = 0
    rows, columns = (torch.fft.fftfreq(n, dtype=maps.dtype, device=maps.device) for n in (height, width))
    near = torch.zeros(height, width, dtype=torch.bool, device=maps.device)
    for i, j in itertools.product(range(period), repeat=2):
        if i or j:
            near |= _away(rows, i / period)[:, None].square() + _away(columns, j / period).square() <= REACH**2
    total = energy.sum((-2, -1))
    # What rounding leaves of a constant map has energy too, and a flat spectrum.
    rounding = (4 * torch.finfo(maps.dtype).eps * maps.abs().amax((1, 2, 3)) * height * width).square() * maps.shape[1]
    return torch.where(total > rounding, (energy * near).sum((-2, -1)) / total, 0)


def _away(frequencies: Tensor, centre: float) -> Tensor:
    """Distance on the circle of frequencies, where 0.5 and -0.5 are one."""
    distance = (frequencies - centre).abs() % 1
    return torch.minimum(distance, 1 - distance)


def _hann(length: int, like: Tensor) -> Tensor:
    """Without the zeros at both ends, so that a map of one row has some energy."""
    place = torch.arange(1, length + 1, dtype=like.dtype, device=like.device)
    return torch.sin(torch.pi * place / (length + 1)).square()
