"""Random gamma: a power of the values in [0, 1], as exposure and display change them."""

from __future__ import annotations

import math

import torch
from torch import Generator

from densepred.types import Sample, UserError, unit_scale


class Gamma:
    """Raise values to a power between `low` and `high` (log-uniform) with probability `p`; 1 changes nothing."""

    def __init__(self, p: float = 0.5, low: float = 0.7, high: float = 1.5) -> None:
        if not 0 < low <= high:
            raise UserError(f"gamma: low {low}, high {high}; give 0 < low <= high")
        self.p, self.low, self.high = p, low, high

    def __call__(self, sample: Sample, generator: Generator) -> Sample:
        chance, u = torch.rand(2, generator=generator, dtype=torch.float64).tolist()
        if chance >= self.p:
            return sample
        power = math.exp(math.log(self.low) + u * math.log(self.high / self.low))
        values = unit_scale(sample.image).clamp(0, 1).pow(power)
        if sample.image.dtype == torch.uint8:
            values = values.mul(255).round().to(torch.uint8)
        return Sample(values, sample.truth, sample.frame)
