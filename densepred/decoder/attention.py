"""Attention for decoders: gates on skips (arXiv 1804.03999), squeeze and excitation (arXiv 1803.02579)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from densepred.ops.resize import resample

REDUCTION = 16  # of the channel branch of SCSE, as is usual


class AttentionGate(nn.Module):
    """Weights each location of a skip by the coarser map.

    The additive gate on a grid: a = sigmoid(psi(relu(theta(skip) + phi(signal)))) at the signal's size, one weight per
    location, enlarged bilinearly to the skip's. theta is a convolution of the size and stride of the step, so that it
    reads every pixel of a skip of any size. The authors' code adds a 1x1 convolution and a norm after the product; the
    convolutions of the decoder's block do that work here, as in the paper's formula.
    """

    def __init__(self, skip: int, signal: int, factor: int) -> None:
        super().__init__()
        inner = max(1, skip // 2)
        self.factor = factor
        self.theta = nn.Conv2d(skip, inner, factor, factor, bias=False)
        self.phi = nn.Conv2d(signal, inner, 1)
        self.psi = nn.Conv2d(inner, 1, 1)

    def forward(self, skip: Tensor, signal: Tensor) -> Tensor:
        """Weight a skip (B, skip, H, W) by a signal (B, signal, h, w)."""
        height, width = skip.shape[-2:]
        seen = self.theta(F.pad(skip, (0, -width % self.factor, 0, -height % self.factor), mode="replicate"))
        wanted = resample.resize(self.phi(signal), (seen.shape[-2], seen.shape[-1])).to(seen.dtype)
        weight = torch.sigmoid(self.psi(torch.relu(seen + wanted)))
        return skip * resample.resize(weight, (height, width)).to(skip.dtype)


class Open(nn.Module):
    """Gate that leaves a skip as it is."""

    def forward(self, skip: Tensor, signal: Tensor) -> Tensor:
        return skip


class SCSE(nn.Module):
    """Weights channels by their means over the map, locations by their channels, and adds both."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(1, channels // REDUCTION)
        self.channel = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, inner, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(inner, channels, 1),
            nn.Sigmoid(),
        )
        self.space = nn.Sequential(nn.Conv2d(channels, 1, 1), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        return x * self.channel(x) + x * self.space(x)
