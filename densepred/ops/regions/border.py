"""Weights for the narrow gaps between cells, of the first U-Net. https://arxiv.org/abs/1505.04597

H x W an image; cells are numbered 1, 2, ... and 0 is what lies around them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

NEGLIGIBLE = 2.0**-24
"""What a weight of 1 in float32 does not notice."""


def border_weight(cells: Tensor, w0: float, sigma: float) -> Tensor:
    """w0 exp(-(d1 + d2)^2 / (2 sigma^2)) around the cells (H, W), 0 in them; (H, W) float32.

    d1 and d2 are the distances to the nearest and the second-nearest cell, in pixels from centre to centre.
    Wrong by less than 2^-24: a weight below that may come out as another weight below that.
    """
    d1, d2 = two_nearest(cells.numpy(), reach(w0, sigma))
    weight = w0 * np.exp(-((d1 + d2) ** 2) / (2 * sigma**2))
    weight[cells.numpy() > 0] = 0
    return torch.from_numpy(weight.astype(np.float32))


def reach(w0: float, sigma: float) -> int:
    """How far from a cell it can matter: w0 exp(-reach^2 / (2 sigma^2)) is at most `NEGLIGIBLE`."""
    return math.ceil(sigma * math.sqrt(2 * math.log(max(w0 / NEGLIGIBLE, 1))))


def two_nearest(cells: np.ndarray, radius: int) -> tuple[np.ndarray, np.ndarray]:
    """The distances to the nearest cell and to the second-nearest, (H, W) float64; infinite where there is none.

    Each cell is measured in a window that reaches `radius` beyond it, so the cost is the area of the windows and not
    the image times the cells. A cell's window holds the whole cell, so what is measured in it is exact; a pixel
    outside is farther away than `radius`. So both distances are exact wherever the second is at most `radius`, and
    elsewhere the second that comes out is, as the true one, larger than `radius`.
    """
    nearest, second = np.full(cells.shape, np.inf), np.full(cells.shape, np.inf)
    for number, place in enumerate(ndimage.find_objects(cells), 1):
        if place is None:
            continue
        window = tuple(slice(max(part.start - radius, 0), part.stop + radius) for part in place)
        distance = ndimage.distance_transform_edt(cells[window] != number)
        assert isinstance(distance, np.ndarray)
        np.minimum(second[window], np.maximum(nearest[window], distance), out=second[window])
        np.minimum(nearest[window], distance, out=nearest[window])
    return nearest, second


def components(labels: Tensor, classes: Sequence[int]) -> Tensor:
    """The connected parts of each of these classes of a class map (H, W), numbered from 1; (H, W) int32.

    Pixels are connected by their sides: a membrane one pixel wide separates also where it runs diagonally.
    """
    found, count = np.zeros(labels.shape, np.int32), 0
    for number in classes:
        parts = np.empty(labels.shape, np.int32)
        ndimage.label(labels.numpy() == number, output=parts)
        found += np.where(parts > 0, parts + count, 0)
        count += int(parts.max(initial=0))
    return torch.from_numpy(found)
