"""Gaussian noise on every pixel."""

from __future__ import annotations

import torch
from torch import Generator

from densepred.types import Sample


class Noise:
    """Gaussian noise with probability `p`, of a standard deviation up to `sigma`, where white is 1."""

    def __init__(self, p: float = 0.2, sigma: float = 0.05) -> None:
        self.p, self.sigma = p, sigma

    def __call__(self, sample: Sample, generator: Generator) -> Sample:
        chance, u = torch.rand(2, generator=generator, dtype=torch.float64).tolist()
        if chance >= self.p:
            return sample
        white = 255.0 if sample.image.dtype == torch.uint8 else 1.0
        noisy = torch.randn(sample.image.shape, generator=generator).mul_(u * self.sigma * white).add_(sample.image)
        image = noisy.clamp_(0, white)
        return Sample(image.round_().to(torch.uint8) if white > 1 else image, sample.truth, sample.frame)
