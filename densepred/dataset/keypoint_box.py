"""Boxes around keypoints, for objects that have no other box."""

from __future__ import annotations

from collections.abc import Sequence


def around(points: Sequence[Sequence[float]]) -> list[float] | None:
    """Return the box (x0, y0, x1, y1) of labelled keypoints (x, y, visibility); None if none is."""
    known = [point for point in points if point[2] > 0]
    if not known:
        return None
    x, y = [point[0] for point in known], [point[1] for point in known]
    return [min(x) - 0.5, min(y) - 0.5, max(x) + 0.5, max(y) + 0.5]


def with_margin(points: Sequence[tuple[float, float]], margin: float, size: tuple[int, int]) -> list[float]:
    """Return COCO's box (left, top, width, height) of points (x, y) and a margin, within an image (height, width).

    Points are centers of pixels; in COCO's boxes a pixel begins at its number.
    """
    low, high = list[float](), list[float]()
    for values, end in zip(zip(*points, strict=True), (size[1], size[0]), strict=True):
        low.append(min(max(min(values) + 0.5 - margin, 0), end))
        high.append(min(max(max(values) + 0.5 + margin, 0), end))
    return [*low, high[0] - low[0], high[1] - low[1]]
