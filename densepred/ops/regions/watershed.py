"""Watershed of a height map, and components split at their necks. On the CPU: maps are numpy arrays (H, W).

The steepest ascent is followed from all pixels at once, by pointer doubling. Basins are then merged by the prominence
of their peaks, as in persistence clustering (ToMATo; Chazal et al., J. ACM 2013). The cost is that of sorting the
pixels, and the only loop is over pairs of adjacent basins. The result is a watershed with the remaining peaks as
markers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy

MergeRule = Callable[[float, float], bool]
"""Maps the height of the lower of two peaks and of the saddle between them to True if both are one basin."""


def split_components(parts: np.ndarray, smooth: float, neck: float, depth: float) -> np.ndarray:
    """Split components (ids, 0 is none) at their necks: (H, W) int32, numbered from 1.

    The distance of each pixel to the background, smoothed by a Gaussian of `smooth` pixels, is half the local width of
    the component. Two basins of this distance are separated at a narrow neck: narrower than `neck` times the
    narrower one, and narrower by `depth` pixels of distance.
    """
    away: Any = scipy.ndimage.distance_transform_edt(parts > 0)
    if smooth > 0:
        away = scipy.ndimage.gaussian_filter(away, smooth, truncate=3.0)
    return basins_by_prominence(parts, away, lambda peak, gap: gap > neck * peak or peak - gap < depth)


def basins_by_prominence(parts: np.ndarray, height: np.ndarray, merges: MergeRule) -> np.ndarray:
    """Number the basins of a height map within each component (0 is none): (H, W) int32, from 1.

    Ascents stay in their component and lead to the highest of eight neighbours. Of equally high pixels the later
    counts as higher, so that a plateau has one peak, or several that are merged.
    """
    inside = np.flatnonzero(parts)
    if not len(inside):
        return np.zeros(parts.shape, np.int32)
    order = inside[np.argsort(height.reshape(-1)[inside], kind="stable")]
    ranks = np.zeros(parts.size, np.int64)
    ranks[order] = np.arange(1, len(order) + 1)
    top = _highest_around(ranks.reshape(parts.shape), parts).reshape(-1)[order] - 1
    while not np.array_equal(further := top[top], top):
        top = further
    peaks, owner = np.unique(top, return_inverse=True)
    basins = np.zeros(parts.size, np.int64)
    basins[order] = owner + 1
    basins = basins.reshape(parts.shape)
    united = _unite(*_saddles(basins, parts, height), height.reshape(-1)[order[peaks]], merges)
    _, names = np.unique(united, return_inverse=True)
    return np.concatenate(([0], names + 1)).astype(np.int32)[basins]


def _shifts(shape: tuple[int, ...]) -> list[tuple[tuple[slice, slice], tuple[slice, slice]]]:
    """Return the slices of a pixel and of its neighbour, for each of the four pairs of opposite directions."""
    rows, columns = shape
    out = []
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        here = (slice(0, rows - down), slice(max(0, -right), columns - max(0, right)))
        there = (slice(down, rows), slice(max(0, right), columns + min(0, right)))
        out.append((here, there))
    return out


def _highest_around(ranks: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """Return the highest rank among each pixel and its neighbours in the same component."""
    best = ranks.copy()
    for here, there in _shifts(ranks.shape):
        same = parts[here] == parts[there]
        for one, other in ((here, there), (there, here)):
            np.maximum(best[one], np.where(same, ranks[other], 0), out=best[one])
    return best


def _saddles(basins: np.ndarray, parts: np.ndarray, height: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return adjacent basins of a component, counted from 0, and the highest pass between each pair: three (P,)."""
    pairs, gaps = [], []
    for here, there in _shifts(basins.shape):
        touching = (parts[here] == parts[there]) & (basins[here] != basins[there])
        a, b = basins[here][touching], basins[there][touching]
        pairs.append(np.stack((np.minimum(a, b), np.maximum(a, b)), 1))
        gaps.append(np.minimum(height[here][touching], height[there][touching]))
    codes = np.concatenate(pairs) @ np.array([int(basins.max()) + 1, 1])
    found, which = np.unique(codes, return_inverse=True)
    highest = np.full(len(found), -np.inf)
    np.maximum.at(highest, which, np.concatenate(gaps))
    return found // (int(basins.max()) + 1) - 1, found % (int(basins.max()) + 1) - 1, highest


def _unite(
    first: np.ndarray, second: np.ndarray, saddles: np.ndarray, peaks: np.ndarray, merges: MergeRule
) -> np.ndarray:
    """Return the basin that each one is merged into, the highest, (B,); highest saddles come first."""
    leader = list(range(len(peaks)))

    def find(basin: int) -> int:
        while leader[basin] != basin:
            leader[basin] = basin = leader[leader[basin]]
        return basin

    for i in np.argsort(-saddles, kind="stable").tolist():
        low, high = sorted((find(int(first[i])), find(int(second[i]))), key=lambda basin: (peaks[basin], basin))
        if low != high and merges(float(peaks[low]), float(saddles[i])):
            leader[low] = high
    return np.array([find(basin) for basin in range(len(peaks))])
