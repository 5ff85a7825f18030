"""Distance of every pixel to the boundary of every class, and to the nearest known pixel."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy
import torch
from torch import Tensor

from densepred.types import VOID


def signed_distances(labels: Tensor, classes: int) -> Tensor:
    """Compute the distance to the boundary of each class in pixels, negative inside: (K, H, W) float16.

    labels: (H, W) uint8

    The boundary lies between pixels, so its two sides have -1/2 and 1/2. Void pixels are on neither side and form no
    boundary. A class without pixels, or one that holds every known pixel, has no boundary: its map is 0.
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
    """Compute the distance of each pixel to the nearest pixel of a mask that is not empty."""
    distances = scipy.ndimage.distance_transform_edt(~mask)
    assert isinstance(distances, np.ndarray)
    return distances


def nearest_known(known: Tensor) -> Tensor:
    """Return the flat index of the nearest True pixel, (B, H, W) int64; of a mask without one, each pixel's own."""
    width = known.shape[-1]
    found = torch.arange(known[0].numel()).view(known.shape[1:]).repeat(len(known), 1, 1)
    for mask, index in zip(known.cpu().numpy(), found, strict=True):
        if mask.any() and not mask.all():
            found_at: Any = scipy.ndimage.distance_transform_edt(~mask, return_distances=False, return_indices=True)
            index.copy_(torch.from_numpy(found_at[0].astype(np.int64) * width + found_at[1]))
    return found.to(known.device)
