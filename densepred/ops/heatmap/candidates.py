"""Candidates of joints: the peaks of heat maps, between their cells.

B images, K joints, h x w cells, J candidates of all joints of an image.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from densepred.ops.heatmap.peaks import local_maxima

LEAST = 1e-6  # heat below it has no logarithm worth reading


class Joints(NamedTuple):
    """Candidates of one image, by kind, and of one kind by falling score."""

    points: Tensor  # (J, 2) float32, x and y in cells
    scores: Tensor  # (J,) float32
    kinds: Tensor  # (J,) int64, 0 to K - 1


def candidates(heat: Tensor, most: int, threshold: float, sigma: float) -> list[Joints]:
    """Of each image of (B, K, h, w) at most `most` maxima a map above `threshold`, placed between cells.

    A parabola through the logarithm of a peak and its neighbours has its top where the Gaussian has: exactly, where
    one Gaussian stands alone. `sigma`, in cells, stands in for the neighbour that a peak at the border lacks.
    """
    peaks = local_maxima(heat, min(most, heat.shape[-1] * heat.shape[-2]), threshold)
    found = []
    for image, scores, x, y in zip(heat, *peaks, strict=True):
        kinds, ranks = (scores > -torch.inf).nonzero(as_tuple=True)
        columns, rows = x[kinds, ranks], y[kinds, ranks]
        log = image.float().clamp_min(LEAST).log()
        centre = log[kinds, rows, columns]
        height, width = image.shape[-2:]
        before = log[kinds, rows, (columns - 1).clamp_min(0)], log[kinds, (rows - 1).clamp_min(0), columns]
        after = (
            log[kinds, rows, (columns + 1).clamp_max(width - 1)],
            log[kinds, (rows + 1).clamp_max(height - 1), columns],
        )
        dx = top(before[0], centre, after[0], columns == 0, columns == width - 1, sigma)
        dy = top(before[1], centre, after[1], rows == 0, rows == height - 1, sigma)
        found.append(Joints(torch.stack([columns + dx, rows + dy], 1), scores[kinds, ranks], kinds))
    return found


def top(before: Tensor, centre: Tensor, after: Tensor, first: Tensor, last: Tensor, sigma: float) -> Tensor:
    """Where between -0.5 and 0.5 a parabola through three numbers is highest.

    At the `first` or `last` cell a neighbour is missing: there the bend is that of the logarithm of a Gaussian.
    """
    missing = 2 * centre - 1 / sigma**2
    before = torch.where(first & ~last, missing - after, before)
    after = torch.where(last & ~first, missing - before, after)
    bend = before - 2 * centre + after
    return torch.where(bend < -LEAST, (before - after) / (2 * bend.clamp_max(-LEAST)), 0).clamp(-0.5, 0.5)
