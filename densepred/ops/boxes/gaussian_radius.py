"""Radius of the Gaussians of CornerNet and CenterNet, from the size of a box."""

from __future__ import annotations

import torch
from torch import Tensor


def corner_radius(sizes: Tensor, overlap: float) -> Tensor:
    """Return the largest r (N,) such that moving both corners by r along both axes keeps an IoU of `overlap`.

    sizes: (N, 2) width and height; r is in their unit

    The minimum of three cases: the box is moved, shrinks or grows (arXiv 1808.01244, section 3.2).
    """
    roots = _roots(sizes, overlap)
    return torch.stack([root / (2 * a) for root, a in zip(roots, (1, 4, 4 * overlap), strict=True)]).amin(0)


def published_radius(sizes: Tensor, overlap: float) -> Tensor:
    """Return the radius (N,) of the authors' programs, with which the published models were trained.

    They use the other root in two cases and divide by 2 instead of 2a. The result is always the third case, times
    4 `overlap`.
    """
    return _roots(sizes, overlap)[2] / 2


def _roots(sizes: Tensor, overlap: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return 2a times the root of a r^2 + b r + c = 0, in the three cases."""
    around, area = sizes.sum(1), sizes.prod(1)
    moved = around - (around**2 - 4 * area * (1 - overlap) / (1 + overlap)).clamp_min(0).sqrt()
    shrunk = 2 * around - (4 * around**2 - 16 * area * (1 - overlap)).clamp_min(0).sqrt()
    grown = -2 * overlap * around + (4 * overlap**2 * around**2 + 16 * overlap * area * (1 - overlap)).sqrt()
    return moved, shrunk, grown
