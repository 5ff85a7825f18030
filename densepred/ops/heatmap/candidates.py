"""Candidates of joints: the peaks of heat maps, between their cells.

B images, K joints, h x w cells, J candidates of all joints of an image.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from densepred.ops.heatmap.parabola import offsets
from densepred.ops.heatmap.peaks import local_maxima


class Candidates(NamedTuple):
    """Candidates of one image, by kind, and of one kind by falling score."""

    points: Tensor  # (J, 2) float32, x and y in cells
    scores: Tensor  # (J,) float32
    kinds: Tensor  # (J,) int64, 0 to K - 1


def candidates(heat: Tensor, most: int, threshold: float, sigma: float) -> list[Candidates]:
    """Of each image of (B, K, h, w) at most `most` maxima a map above `threshold`, placed between cells.

    A parabola through the logarithm of a peak and its neighbours has its top where the Gaussian has: exactly, where
    one Gaussian stands alone. `sigma`, in cells, stands in for the neighbour that a peak at the border lacks.
    """
    peaks = local_maxima(heat, min(most, heat.shape[-1] * heat.shape[-2]), threshold)
    found = []
    for image, scores, x, y in zip(heat, *peaks, strict=True):
        kinds, ranks = (scores > -torch.inf).nonzero(as_tuple=True)
        columns, rows = x[kinds, ranks], y[kinds, ranks]
        shift = offsets(image, kinds, columns, rows, sigma)
        found.append(Candidates(torch.stack([columns, rows], 1) + shift, scores[kinds, ranks], kinds))
    return found
