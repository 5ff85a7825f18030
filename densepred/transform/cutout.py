"""Cutout (arXiv 1708.04552): squares of the image get its mean colour, so that context has to tell their content."""

from __future__ import annotations

import torch
from torch import Generator

from densepred.types import Sample, UserError


class Cutout:
    """Fill `count` squares with probability `p`; `side` is their largest side, as a share of the shorter image side.

    Centers are uniform over the image, so squares may leave it. Annotations do not change.
    """

    def __init__(self, p: float = 0.5, count: int = 1, side: float = 0.3) -> None:
        if count < 1 or not 0 < side <= 1:
            raise UserError(f"cutout: count {count}, side {side}; give a count of at least 1 and 0 < side <= 1")
        self.p, self.count, self.side = p, count, side

    def __call__(self, sample: Sample, generator: Generator) -> Sample:
        chance = torch.rand((), generator=generator, dtype=torch.float64).item()
        draws = torch.rand(self.count, 3, generator=generator, dtype=torch.float64).tolist()
        if chance >= self.p:
            return sample
        image = sample.image.clone()
        height, width = image.shape[-2:]
        mean = sample.image.float().mean((1, 2), keepdim=True)
        fill = mean.round().to(torch.uint8) if image.dtype == torch.uint8 else mean.to(image)
        for y, x, u in draws:
            half = max(1, round(u * self.side * min(height, width))) / 2
            top, left = max(0, round(y * height - half)), max(0, round(x * width - half))
            image[:, top : round(y * height + half), left : round(x * width + half)] = fill
        return Sample(image, sample.truth, sample.frame)
