"""Gaussian blur of the image."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from densepred.types import Sample, UserError


class Blur:
    """Gaussian blur with probability `p`, by a standard deviation from `low` to `high` pixels."""

    def __init__(self, p: float = 0.2, low: float = 0.3, high: float = 1.5) -> None:
        if not 0 < low <= high:
            raise UserError(f"blur: low {low}, high {high}; give 0 < low <= high")
        self.p, self.low, self.high = p, low, high

    def __call__(self, sample: Sample, generator: Generator) -> Sample:
        chance, u = torch.rand(2, generator=generator, dtype=torch.float64).tolist()
        if chance >= self.p:
            return sample
        return Sample(_blur(sample.image, self.low + u * (self.high - self.low)), sample.truth, sample.frame)


def _blur(image: Tensor, sigma: float) -> Tensor:
    """Blur an image (C, H, W) by a Gaussian that ends at 3 sigma; the border is repeated."""
    reach = max(1, math.ceil(3 * sigma))
    weights = torch.exp(torch.arange(-reach, reach + 1).float().square() / (-2 * sigma * sigma))
    weights /= weights.sum()
    out = image.float()[:, None]
    out = F.conv2d(F.pad(out, (reach, reach, 0, 0), mode="replicate"), weights.view(1, 1, 1, -1))
    out = F.conv2d(F.pad(out, (0, 0, reach, reach), mode="replicate"), weights.view(1, 1, -1, 1))[:, 0]
    return out.round_().clamp_(0, 255).to(torch.uint8) if image.dtype == torch.uint8 else out
