"""Panoptic-DeepLab's targets and merging pixel by pixel and instance by instance, and PQ as its paper defines it."""

from __future__ import annotations

import math

import numpy as np

VOID = 255


def targets(ids: np.ndarray, count: int, sigma: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centers (count, 2), x and y; heat map (H, W); offsets (2, H, W)."""
    height, width = ids.shape
    points, heat, offset = np.zeros((count, 2)), np.zeros(ids.shape), np.zeros((2, height, width))
    for i in range(count):
        pixels = [(x, y) for y in range(height) for x in range(width) if ids[y, x] == i + 1]
        cx, cy = (sum(values) / len(pixels) for values in zip(*pixels, strict=True))
        points[i] = cx, cy
        for x, y in pixels:
            offset[:, y, x] = cx - x, cy - y
        for y in range(height):
            for x in range(width):
                if max(abs(x - cx), abs(y - cy)) <= 3 * sigma:
                    value = math.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * sigma**2))
                    heat[y, x] = max(heat[y, x], value)
    return points, heat, offset


def nearest(points: np.ndarray, centers: np.ndarray) -> np.ndarray:
    return np.array([np.argmin([(x - a) ** 2 + (y - b) ** 2 for a, b in centers]) for x, y in points])


def maxima(heat: np.ndarray, threshold: float, kernel: int) -> list[tuple[int, int]]:
    """(x, y) of each value above the threshold that is the first of the largest of its window, in reading order."""
    reach, found = kernel // 2, []
    for y, x in np.argwhere(heat > threshold).tolist():
        rows = range(max(0, y - reach), min(heat.shape[0], y + reach + 1))
        columns = range(max(0, x - reach), min(heat.shape[1], x + reach + 1))
        if max((heat[v, u], -v, -u) for v in rows for u in columns)[1:] == (-y, -x):
            found.append((x, y))
    return found


def merge(
    labels: np.ndarray, offset: np.ndarray, centers: np.ndarray, things: set[int], thing_area: float, stuff_area: float
) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Class map, ids (0 none) and classes of the instances."""
    semantic, ids = np.full(labels.shape, VOID), np.zeros(labels.shape, int)
    group = np.zeros(labels.shape, int)
    for y in range(labels.shape[0]):
        for x in range(labels.shape[1]):
            if labels[y, x] in things and len(centers):
                group[y, x] = 1 + nearest([(x + offset[0, y, x], y + offset[1, y, x])], centers)[0]
    classes: list[int] = []
    for number in range(1, len(centers) + 1):
        inside = group == number
        if not inside.any() or inside.sum() < thing_area:
            continue
        kinds, counts = np.unique(labels[inside], return_counts=True)
        classes.append(int(kinds[counts.argmax()]))
        semantic[inside], ids[inside] = classes[-1], len(classes)
    for kind in np.unique(labels):
        inside = labels == kind
        if kind not in things and kind != VOID and inside.sum() >= stuff_area:
            semantic[inside] = kind
    return semantic, ids, classes


def panoptic_quality(found: dict, truth: dict) -> float | None:
    """Return the panoptic quality of one image; both map a name to (class, mask, crowd), unlabelled pixels are void."""
    void = ~np.any([mask for _, mask, _ in truth.values()] or [np.zeros(1, bool)], axis=0)
    ratios: dict[int, list] = {}
    met: set = set()
    for a, (kind, mask, _) in found.items():
        for b, (wanted, other, crowd) in truth.items():
            union = (mask | other) & ~(mask & void)
            ratio = (mask & other).sum() / union.sum()
            if kind == wanted and not crowd and ratio > 0.5:
                ratios.setdefault(kind, []).append(ratio)
                met |= {("found", a), ("truth", b)}
    wrong = {kind: 0 for kind, _, _ in [*found.values(), *truth.values()]}
    missed = dict(wrong)
    for b, (kind, _, crowd) in truth.items():
        missed[kind] += not crowd and ("truth", b) not in met
    for a, (kind, mask, _) in found.items():
        spared = void | np.any([m for k, m, crowd in truth.values() if crowd and k == kind] or [void], axis=0)
        wrong[kind] += ("found", a) not in met and (mask & spared).sum() <= mask.sum() / 2
    each = []
    for kind in wrong:
        hits = ratios.get(kind, [])
        if whole := len(hits) + wrong[kind] / 2 + missed[kind] / 2:
            each.append(sum(hits) / whole)
    return sum(each) / len(each) if each else None
