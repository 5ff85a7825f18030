"""COCO's boxes: x, y, width and height, counted from the outer edge of the first pixel.

Boxes of densepred are outer edges x0, y0, x1, y1 counted from the center of the first pixel. The single pixel (0, 0) is
[0, 0, 1, 1] in COCO and -0.5, -0.5, 0.5, 0.5 here. https://cocodataset.org/#format-data
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np

Value = TypeVar("Value", float, np.ndarray)


def to_coco(x0: Value, y0: Value, x1: Value, y1: Value) -> tuple[Value, Value, Value, Value]:
    """Convert outer edges to COCO's x, y, width and height: numbers or arrays."""
    return x0 + 0.5, y0 + 0.5, x1 - x0, y1 - y0


def from_coco(x: Value, y: Value, width: Value, height: Value) -> tuple[Value, Value, Value, Value]:
    """Convert COCO's x, y, width and height to outer edges x0, y0, x1, y1: numbers or arrays."""
    return x - 0.5, y - 0.5, x + width - 0.5, y + height - 0.5
