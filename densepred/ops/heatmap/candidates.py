"""Candidates of joints: the peaks of heat maps, between their locations.

B images, K joints, maps of h x w, J candidates of all joints of an image.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from densepred.ops.heatmap.parabola import offsets
from densepred.ops.heatmap.peaks import local_maxima


class Candidates(NamedTuple):
    """Candidates of one image, sorted by kind and then by falling score."""

    points: Tensor  # (J, 2) float32, x and y in locations of the map
    scores: Tensor  # (J,) float32
    kinds: Tensor  # (J,) int64, 0 to K - 1


def candidates(heat: Tensor, most: int, threshold: float, sigma: float) -> list[Candidates]:
    """Return the maxima above `threshold` of heat maps (B, K, h, w), at most `most` per map, between locations.

    sigma: standard deviation of the Gaussians in locations; `parabola.offsets` uses it at the border.
    """
    peaks = local_maxima(heat, min(most, heat.shape[-1] * heat.shape[-2]), threshold)
    found = []
    for image, scores, x, y in zip(heat, *peaks, strict=True):
        kinds, ranks = (scores > -torch.inf).nonzero(as_tuple=True)
        columns, rows = x[kinds, ranks], y[kinds, ranks]
        shift = offsets(image, kinds, columns, rows, sigma)
        found.append(Candidates(torch.stack([columns, rows], 1) + shift, scores[kinds, ranks], kinds))
    return found
