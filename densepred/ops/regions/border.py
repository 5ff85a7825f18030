"""Loss weights for narrow gaps between cells, from U-Net (arXiv 1505.04597).

H x W an image; cells have ids 1, 2, ... and 0 is the background.
"""

from __future__ import annotations

import math

import numpy as np
import scipy
import torch
from torch import Tensor

NEGLIGIBLE = 2.0**-24
"""Added to a weight of 1 in float32, this changes nothing."""


def border_weight(cells: Tensor, w0: float, sigma: float) -> Tensor:
    """Compute w0 exp(-(d1 + d2)^2 / (2 sigma^2)) around the cells (H, W), 0 in them: (H, W) float32.

    d1 and d2 are the distances to the nearest and the second-nearest cell, in pixels from center to center.
    Absolute error below 2^-24.
    """
    d1, d2 = two_nearest(cells.numpy(), reach(w0, sigma))
    weight = w0 * np.exp(-((d1 + d2) ** 2) / (2 * sigma**2))
    weight[cells.numpy() > 0] = 0
    return torch.from_numpy(weight.astype(np.float32))


def reach(w0: float, sigma: float) -> int:
    """Return the distance in pixels beyond which the weight of a cell is at most `NEGLIGIBLE`."""
    return math.ceil(sigma * math.sqrt(2 * math.log(max(w0 / NEGLIGIBLE, 1))))


def two_nearest(cells: np.ndarray, radius: int) -> tuple[np.ndarray, np.ndarray]:
    """Compute the distances to the nearest and second-nearest cell: two (H, W) float64, infinite if there is none.

    The distance to a cell is computed in a window that extends `radius` beyond it, so the cost is the area of the
    windows. The window holds the whole cell, so distances in it are exact; a pixel outside is farther than `radius`.
    Therefore both distances are exact wherever the second is at most `radius`. Elsewhere the second is larger than
    `radius`, as is the exact one.
    """
    nearest, second = np.full(cells.shape, np.inf), np.full(cells.shape, np.inf)
    for number, place in enumerate(scipy.ndimage.find_objects(cells), 1):
        if place is None:
            continue
        window = tuple(slice(max(part.start - radius, 0), part.stop + radius) for part in place)
        distance = scipy.ndimage.distance_transform_edt(cells[window] != number)
        assert isinstance(distance, np.ndarray)
        np.minimum(second[window], np.maximum(nearest[window], distance), out=second[window])
        np.minimum(nearest[window], distance, out=nearest[window])
    return nearest, second
