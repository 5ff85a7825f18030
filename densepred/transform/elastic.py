"""Smooth random deformation, an augmentation of U-Net (arXiv 1505.04597)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Generator

from densepred.ops.geometry.warp import IDENTITY, Warp
from densepred.types import UserError


class Elastic:
    """Elastic deformation with probability `p`: normal displacements at a grid of knots, bicubic between them.

    sigma: standard deviation of the displacements in pixels. Make it much smaller than the distance between knots:
        otherwise the image folds, and keypoints have no single position.
    knots: number of knots per axis.
    """

    def __init__(self, p: float = 1.0, sigma: float = 10.0, knots: int = 3) -> None:
        if knots < 2 or sigma < 0:
            raise UserError(f"elastic: knots {knots}, sigma {sigma}; give at least 2 knots and a sigma of 0 or more")
        self.p, self.sigma, self.knots = p, sigma, knots

    def params(self, size: tuple[int, int], generator: Generator) -> Warp:
        chance = torch.rand((), generator=generator, dtype=torch.float64).item()
        knots = torch.randn(1, 2, self.knots, self.knots, generator=generator) * self.sigma
        if chance >= self.p:
            return Warp(IDENTITY, size)
        return Warp(IDENTITY, size, F.interpolate(knots, size, mode="bicubic", align_corners=True)[0])
