"""Loss of resolution: an image is made smaller and enlarged to its size again."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Generator

from densepred.types import Sample, UserError


class LowResolution:
    """Shrink by a factor between `low` and 1 (log-uniform) with probability `p`, then enlarge bilinearly.

    Shrinking averages areas; annotations keep their full resolution (nnU-Net, arXiv 1809.10486).
    """

    def __init__(self, p: float = 0.25, low: float = 0.5) -> None:
        if not 0 < low <= 1:
            raise UserError(f"low_resolution: low {low}; give 0 < low <= 1")
        self.p, self.low = p, low

    def __call__(self, sample: Sample, generator: Generator) -> Sample:
        chance, u = torch.rand(2, generator=generator, dtype=torch.float64).tolist()
        if chance >= self.p:
            return sample
        image, factor = sample.image, math.exp(u * math.log(self.low))
        size = image.shape[-2:]
        small = [max(1, round(length * factor)) for length in size]
        values = F.interpolate(image[None].float(), small, mode="area")
        values = F.interpolate(values, size, mode="bilinear", align_corners=False)[0]
        if image.dtype == torch.uint8:
            values = values.round().clamp(0, 255).to(torch.uint8)
        return Sample(values, sample.truth, sample.frame)
