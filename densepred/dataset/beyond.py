"""Boxes and outlines of COCO's records that reach beyond their image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from densepred.ops.boxes.coco import from_coco, reaches_beyond

FAR = 1e6  # pixels; numbers beyond are refused where the record is read


def beyond(record: Mapping[str, Any], size: tuple[int, int]) -> bool:
    """Tell if the box, or without one the polygons, reach beyond an image of `size` (height, width).

    False for what is neither, because that is refused where the record is read.
    """
    box = record.get("bbox")
    if box is None:
        return any(_polygon(points, size) for points in _listed(record.get("segmentation")))
    return _numbers(box) and len(box) == 4 and reaches_beyond(from_coco(*box), size)


def _polygon(points: object, size: tuple[int, int]) -> bool:
    if not isinstance(points, list) or len(points) < 2 or not _numbers(points):
        return False
    x, y = points[::2], points[1::2]
    return reaches_beyond(from_coco(min(x), min(y), max(x) - min(x), max(y) - min(y)), size)


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _numbers(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, int | float) and abs(one) <= FAR for one in value)
