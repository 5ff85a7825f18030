"""CutMix (arXiv 1905.04899): a rectangle of an image is replaced by that of another training image."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from densepred.ops.geometry.overlay import Another, fitted, overlay
from densepred.types import Sample


class CutMix:
    """Replace a rectangle with probability `p`, annotations included, as for segmentation in arXiv 1906.01916.

    Its area is a uniform share of the image, its sides are proportional to those of the image, and its center is
    uniform. Parts outside either image are left out. The other image passes through the transforms before this one.
    """

    def __init__(self, p: float = 0.5) -> None:
        self.p = p

    def mix(self, sample: Sample, another: Another, generator: Generator) -> Sample:
        chance, area, *center = torch.rand(4, generator=generator, dtype=torch.float64).tolist()
        if chance >= self.p:
            return sample
        other, size = another(generator), sample.truth.size
        common = [min(lengths) for lengths in zip(size, other.truth.size, strict=True)]
        rows, columns = (_span(length, math.sqrt(area), place) for length, place in zip(common, center, strict=True))
        region = torch.zeros(size, dtype=torch.bool)
        region[: common[0], : common[1]] = rows[:, None] & columns
        return overlay(sample, fitted(other, size), region)


def _span(length: int, share: float, center: float) -> Tensor:
    """Mark the pixels of an axis in an interval of `share` of its length around `center`, a share too, (length,)."""
    place = (torch.arange(length, dtype=torch.float64) + 0.5) / length
    return (place - center).abs() < share / 2
