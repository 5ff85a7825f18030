"""Class weights from how often classes occur."""

from __future__ import annotations

import torch
from torch import Tensor


def median_frequency(counts: Tensor, pixels: Tensor | None = None) -> Tensor:
    """Median frequency balancing, https://arxiv.org/abs/1411.4734: median(freq) / freq, (K,) float64.

    counts (N, K): pixels of each class in each of N images; pixels (N,): all pixels of each image, by default those
    with a class. freq is the pixels of a class over the pixels of the images that hold it. A class that never occurs
    has no frequency and weighs 0.
    """
    counts = counts.double()
    pixels = counts.sum(1) if pixels is None else pixels.double()
    present = counts > 0
    seen = present.any(0)
    if not seen.any():
        return torch.zeros(counts.shape[1], dtype=torch.float64)
    frequency = counts.sum(0)[seen] / (present[:, seen] * pixels[:, None]).sum(0)
    weights = torch.zeros(counts.shape[1], dtype=torch.float64)
    weights[seen] = frequency.quantile(0.5) / frequency
    return weights
