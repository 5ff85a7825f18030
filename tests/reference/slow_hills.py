"""Hills of a landscape, pixel by pixel and pass by pass."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def hills(parts: np.ndarray, height: np.ndarray, one: Callable[[float, float], bool]) -> np.ndarray:
    """Walk up from each pixel; then raise the water's edge down through all passes, uniting hills if `one` is true."""
    rows, columns = parts.shape
    pixels = [(y, x) for y in range(rows) for x in range(columns) if parts[y, x]]

    def around(y: int, x: int) -> list[tuple[int, int]]:
        near = [(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
        inside = [(a, b) for a, b in near if 0 <= a < rows and 0 <= b < columns]
        return [place for place in inside if parts[place] == parts[y, x]]

    def walk(place: tuple[int, int]) -> tuple[int, int]:
        while (higher := max(around(*place), key=lambda p: (height[p], p))) != place:
            place = higher
        return place

    peak = {place: walk(place) for place in pixels}
    passes: dict[frozenset[tuple[int, int]], float] = {}
    for place in pixels:
        for other in around(*place):
            if peak[place] != peak[other]:
                pair = frozenset((peak[place], peak[other]))
                passes[pair] = max(passes.get(pair, -np.inf), min(height[place], height[other]))
    # Hills are known by their highest peak
    hill = {top: top for top in peak.values()}
    for pair, gap in sorted(passes.items(), key=lambda item: -item[1]):
        low, high = sorted((hill[top] for top in pair), key=lambda p: (height[p], p))
        if low != high and one(float(height[low]), float(gap)):
            hill = {top: high if known == low else known for top, known in hill.items()}
    out, names = np.zeros(parts.shape, int), {}
    for place in pixels:
        out[place] = names.setdefault(hill[peak[place]], len(names) + 1)
    return out
