"""Rand and information scores by the words of their definitions."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np


def fill(mask: np.ndarray) -> np.ndarray:
    """4-connected components, pixel by pixel."""
    labels, count = np.zeros(mask.shape, int), 0
    for start in zip(*np.nonzero(mask), strict=True):
        if labels[start]:
            continue
        count += 1
        waiting = [start]
        while waiting:
            y, x = waiting.pop()
            inside = 0 <= y < mask.shape[0] and 0 <= x < mask.shape[1]
            if inside and mask[y, x] and not labels[y, x]:
                labels[y, x] = count
                waiting += [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
    return labels


def rand(found: np.ndarray, truth: np.ndarray) -> tuple[int, int, int]:
    """Count ordered pairs of foreground pixels in one segment of both, of `truth`, of `found`; 0 is no segment."""
    pixels = [(t, f, i) for i, (t, f) in enumerate(zip(truth.ravel(), found.ravel(), strict=True)) if t]
    both = first = second = 0
    for t, f, i in pixels:
        for u, g, j in pixels:
            one, other = t == u, f == g if f and g else i == j
            both, first, second = both + (one and other), first + one, second + other
    return both, first, second


def information(found: np.ndarray, truth: np.ndarray) -> tuple[float, float, float]:
    """Mutual information and the entropies of `found` and `truth`, in nats, over the foreground of `truth`."""
    names = [(f or f"pixel {i}", t) for i, (f, t) in enumerate(zip(found.ravel(), truth.ravel(), strict=True)) if t]
    joint, s, t = Counter(names), Counter(f for f, _ in names), Counter(t for _, t in names)
    total = len(names)
    shared = sum(n / total * math.log(n * total / (s[f] * t[u])) for (f, u), n in joint.items())
    hs, ht = (-sum(n / total * math.log(n / total) for n in counts.values()) for counts in (s, t))
    return shared, hs, ht
