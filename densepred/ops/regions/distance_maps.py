"""How far every pixel is from the boundary of every class."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from densepred.types import VOID


def signed_distances(labels: Tensor, classes: int) -> Tensor:
    """Class map (H, W) uint8 -> (K, H, W) float16: pixels to the nearest boundary of each class, negative inside.

    The boundary lies between pixels, so the two sides of it have -1/2 and 1/2. Void pixels are on neither side: they
    bound nothing. A class without a pixel, or without a pixel that is not of it, has no boundary: it has 0 everywhere.
    """
    found = labels.cpu().numpy()
    known = found != VOID
    distances = np.zeros((classes, *found.shape), np.float16)
    for k in np.unique(found[known]):
        inside = found == k
        outside = known & ~inside
        if outside.any():
            away = _to(inside) - _to(outside)
            distances[k] = np.where(known, away - np.sign(away) / 2, 0)
    return torch.from_numpy(distances)


def _to(mask: np.ndarray) -> np.ndarray:
    """The distance of each pixel to the nearest of the mask, which holds one at least."""
    distances = distance_transform_edt(~mask)
    assert isinstance(distances, np.ndarray)
    return distances


def nearest_known(known: Tensor) -> Tensor:
    """For each pixel of (B, H, W) bool the index, row by row, of the nearest that is true; its own where none is."""
    width = known.shape[-1]
    found = torch.arange(known[0].numel()).view(known.shape[1:]).repeat(len(known), 1, 1)
    for mask, index in zip(known.cpu().numpy(), found, strict=True):
        if mask.any() and not mask.all():
            found_at: Any = distance_transform_edt(~mask, return_distances=False, return_indices=True)
            index.copy_(torch.from_numpy(found_at[0].astype(np.int64) * width + found_at[1]))
    return found.to(known.device)
