"""COCO's boxes: x, y, width and height, counted from the outer edge of the first pixel.

Boxes of densepred are outer edges x0, y0, x1, y1 counted from the center of the first pixel. The single pixel (0, 0) is
[0, 0, 1, 1] in COCO and -0.5, -0.5, 0.5, 0.5 here. https://cocodataset.org/#format-data
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

Value = TypeVar("Value", float, np.ndarray)
ROUNDING = 0.5  # pixels beyond the image that a rounded box may reach


def to_coco(x0: Value, y0: Value, x1: Value, y1: Value) -> tuple[Value, Value, Value, Value]:
    """Convert outer edges to COCO's x, y, width and height: numbers or arrays."""
    return x0 + 0.5, y0 + 0.5, x1 - x0, y1 - y0  # pyrefly: ignore[bad-return], sums of arrays are arrays


def from_coco(x: Value, y: Value, width: Value, height: Value) -> tuple[Value, Value, Value, Value]:
    """Convert COCO's x, y, width and height to outer edges x0, y0, x1, y1: numbers or arrays."""
    return x - 0.5, y - 0.5, x + width - 0.5, y + height - 0.5  # pyrefly: ignore[bad-return], as above


def clipped(corners: Sequence[float], size: tuple[int, int]) -> list[float] | None:
    """Clip x0, y0, x1, y1 to the image, except for half a pixel, which may be rounding; None if no area is left."""
    high = (size[1] - 0.5, size[0] - 0.5) * 2
    near = [min(max(value, -0.5), most) for value, most in zip(corners, high, strict=True)]
    out = [new if abs(new - old) > ROUNDING else old for new, old in zip(near, corners, strict=True)]
    return out if near[0] < near[2] and near[1] < near[3] else None


def reaches_beyond(corners: Sequence[float], size: tuple[int, int]) -> bool:
    """Tell if a box x0, y0, x1, y1 reaches more than half a pixel beyond the image of `size` (height, width)."""
    x0, y0, x1, y1 = corners
    limit = 0.5 + ROUNDING
    return min(x0, y0) < -limit or x1 > size[1] - 1 + limit or y1 > size[0] - 1 + limit
