"""How far the corners of a box may move and it is still the same: the Gaussians of CornerNet and CenterNet."""

from __future__ import annotations

import torch
from torch import Tensor


def corner_radius(sizes: Tensor, overlap: float) -> Tensor:
    """The largest r (N,) such that a box whose two corners are each off by r along both axes keeps an IoU of `overlap`.

    sizes: (N, 2) width and height; r is in their unit. The least of three cases (arXiv 1808.01244, section 3.2): the
    box is moved, shrinks or grows.
    """
    roots = _roots(sizes, overlap)
    return torch.stack([root / (2 * a) for root, a in zip(roots, (1, 4, 4 * overlap), strict=True)]).amin(0)


def published_radius(sizes: Tensor, overlap: float) -> Tensor:
    """What the authors' programs compute, and CenterNet's models were trained with.

    The same equations, but of the other root in two cases, and divided by 2 where it should be 2a. So it is always the
    third case, 4 `overlap` times as large.
    """
    return _roots(sizes, overlap)[2] / 2


def _roots(sizes: Tensor, overlap: float) -> tuple[Tensor, Tensor, Tensor]:
    """2a times the root r that is wanted of a r^2 + b r + c = 0, in the three cases."""
    around, area = sizes.sum(1), sizes.prod(1)
    moved = around - (around**2 - 4 * area * (1 - overlap) / (1 + overlap)).clamp_min(0).sqrt()
    shrunk = 2 * around - (4 * around**2 - 16 * area * (1 - overlap)).clamp_min(0).sqrt()
    grown = -2 * overlap * around + (4 * overlap**2 * around**2 + 16 * overlap * area * (1 - overlap)).sqrt()
    return moved, shrunk, grown
