"""ClassMix (arXiv 2007.07936): half of the classes of another training image are laid over an image."""

from __future__ import annotations

import torch
from torch import Generator

from densepred.ops.geometry.overlay import Another, fitted, overlay
from densepred.types import VOID, Sample, UserError


class ClassMix:
    """Replace pixels with probability `p` by those of half of the classes (rounded up) that another image shows.

    The other image passes through the transforms before this one. Void is never taken.
    """

    def __init__(self, p: float = 0.5) -> None:
        self.p = p

    def mix(self, sample: Sample, another: Another, generator: Generator) -> Sample:
        if sample.truth.semantic is None:
            raise UserError("transform: classmix needs class maps, and this dataset has none; remove it")
        if torch.rand((), generator=generator, dtype=torch.float64).item() >= self.p:
            return sample
        other = fitted(another(generator), sample.truth.size)
        labels = other.truth.need("semantic")
        present = labels[labels != VOID].unique()
        order = torch.randperm(len(present), generator=generator)
        return overlay(sample, other, torch.isin(labels, present[order[: (len(present) + 1) // 2]]))
