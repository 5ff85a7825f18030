"""Part affinity fields cell by cell and line integrals sample by sample."""

from __future__ import annotations

import math

import numpy as np


def field(limbs: list[tuple[tuple[float, float], tuple[float, float]]], size: tuple[int, int], width: float):
    """(2, h, w): the mean direction of all limbs of one kind that reach a cell."""
    total, number = np.zeros((2, *size)), np.zeros(size)
    for (ax, ay), (bx, by) in limbs:
        length = math.hypot(bx - ax, by - ay)
        for y in range(size[0]):
            for x in range(size[1]):
                across = abs((x - ax) * (by - ay) - (y - ay) * (bx - ax)) / length
                inside_x = min(ax, bx) - width <= x <= max(ax, bx) + width
                inside_y = min(ay, by) - width <= y <= max(ay, by) + width
                if across <= width and inside_x and inside_y:
                    total[:, y, x] += (bx - ax) / length, (by - ay) / length
                    number[y, x] += 1
    return total / np.maximum(number, 1)


def sample(plane: np.ndarray, x: float, y: float) -> float:
    height, width = plane.shape
    x, y = min(max(x, 0), width - 1), min(max(y, 0), height - 1)
    x0, y0 = math.floor(x), math.floor(y)
    x1, y1 = min(x0 + 1, width - 1), min(y0 + 1, height - 1)
    u, v = x - x0, y - y0
    upper = plane[y0, x0] * (1 - u) + plane[y0, x1] * u
    lower = plane[y1, x0] * (1 - u) + plane[y1, x1] * u
    return upper * (1 - v) + lower * v


def integral(field, start, end, stride: float, threshold: float, ratio: float) -> float:
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = math.hypot(dx, dy)
    count = max(5, min(25, round(math.sqrt(5 * stride * max(abs(dx), abs(dy))))))
    passed = []
    for i in range(count):
        x, y = start[0] + dx * i / count, start[1] + dy * i / count
        dot = (sample(field[0], x, y) * dx + sample(field[1], x, y) * dy) / length
        if dot > threshold:
            passed.append(dot)
    return sum(passed) / len(passed) if len(passed) / count > ratio else 0.0
