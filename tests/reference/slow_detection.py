"""Slow, obvious forms of what detectors do: loops over cells and boxes, in the words of the papers."""

from __future__ import annotations

import math
from collections.abc import Sequence

Box = tuple[float, float, float, float]


def assigned(
    boxes: Sequence[Box], size: tuple[int, int], strides: Sequence[int], reach: float, radius: float
) -> list[int]:
    """The box of each cell of each level, -1 where none (FCOS)."""
    found = []
    for level, stride in enumerate(strides):
        low = reach * strides[level - 1] if level else 0
        high = reach * stride if level + 1 < len(strides) else math.inf
        for row in range(math.ceil(size[0] / stride)):
            for column in range(math.ceil(size[1] / stride)):
                pixels = range(stride)
                x = sum(column * stride + i for i in pixels) / stride
                y = sum(row * stride + i for i in pixels) / stride
                found.append(_owner(boxes, x, y, radius * stride, low, high))
    return found


def _owner(boxes: Sequence[Box], x: float, y: float, near: float, low: float, high: float) -> int:
    best, least = -1, math.inf
    for number, (x0, y0, x1, y1) in enumerate(boxes):
        sides = (x - x0, y - y0, x1 - x, y1 - y)
        central = not near or max(abs(x - (x0 + x1) / 2), abs(y - (y0 + y1) / 2)) < near
        area = (x1 - x0) * (y1 - y0)
        if min(sides) > 0 and low < max(sides) <= high and central and area < least:
            best, least = number, area
    return best


def overlap(one: Box, two: Box) -> float:
    """Intersection over union."""
    width = min(one[2], two[2]) - max(one[0], two[0])
    height = min(one[3], two[3]) - max(one[1], two[1])
    both = max(0.0, width) * max(0.0, height)
    areas = [(x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in (one, two)]
    return both / (sum(areas) - both)


def published_radius(width: float, height: float, overlap: float) -> float:
    """As the program of CenterNet computes it, with roots that are halved."""
    answers = []
    for a, b, c in (
        (1.0, height + width, width * height * (1 - overlap) / (1 + overlap)),
        (4.0, 2 * (height + width), (1 - overlap) * width * height),
        (4 * overlap, -2 * overlap * (height + width), (overlap - 1) * width * height),
    ):
        answers.append((b + math.sqrt(b**2 - 4 * a * c)) / 2)
    return min(answers)


def heat(places: Sequence[tuple[int, int]], radii: Sequence[int], grid: tuple[int, int]) -> list[list[float]]:
    """The largest Gaussian at each cell; each ends `radius` cells away along both axes."""
    rows = [[0.0] * grid[1] for _ in range(grid[0])]
    for (px, py), radius in zip(places, radii, strict=True):
        sigma = (2 * radius + 1) / 6
        for y in range(max(0, py - radius), min(grid[0], py + radius + 1)):
            for x in range(max(0, px - radius), min(grid[1], px + radius + 1)):
                value = math.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * sigma**2))
                rows[y][x] = max(rows[y][x], value)
    return rows
