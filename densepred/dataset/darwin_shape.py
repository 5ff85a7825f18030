"""Annotations of Darwin JSON as fields of a COCO annotation.

Source: https://docs.v7labs.com/reference/darwin-json
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from densepred.dataset import coco_fields
from densepred.dataset.mask_runs import outlines, runs
from densepred.dataset.outline import ellipse
from densepred.errors import UserError, shown

KINDS = ("polygon", "ellipse", "mask", "bounding_box")
"""Annotations that mark an area, the most exact first: V7 writes the box of every polygon too."""
WITHOUT_AREA = ("tag", "line", "keypoint", "skeleton", "cuboid", "eye", "graph", "string", "table", "text", "link")


def fields(kind: str, value: Any, size: tuple[int, int], where: str) -> dict[str, Any]:
    """Return the box, polygon or run-length mask of an annotation; size: height and width of the image."""
    if kind == "bounding_box":
        return {"bbox": _numbers(value, ("x", "y", "w", "h"), where)}
    if kind == "ellipse":
        parts = value if isinstance(value, dict) else {}
        (x, y), (rx, ry) = (_numbers(parts.get(name), ("x", "y"), where) for name in ("center", "radius"))
        (angle,) = coco_fields.numbers([parts.get("angle") or 0], where, "angle")
        return {"segmentation": [ellipse(x, y, rx, ry, angle)]}
    paths = value.get("paths") if isinstance(value, dict) else None
    if not isinstance(paths, list) or not all(isinstance(path, list) for path in paths):
        raise UserError(f"{where}: its paths are {shown(paths)}; export it again as Darwin JSON 2.0")
    rings = [[number for point in path for number in _numbers(point, ("x", "y"), where)] for path in paths]
    return {"segmentation": outlines(rings, size, where)}


class Masks:
    """Masks of an image: its raster layer holds the number of a mask per pixel, in runs by rows."""

    def __init__(self, layers: Sequence[Any], size: tuple[int, int], where: str) -> None:
        self._size, total = size, size[0] * size[1]
        layer = layers[0] if layers else {"dense_rle": [0, total], "mask_annotation_ids_mapping": {}}
        code, numbers = layer.get("dense_rle"), layer.get("mask_annotation_ids_mapping")
        if not isinstance(code, list) or not all(type(one) is int and one >= 0 for one in code) or len(code) % 2:
            raise UserError(f"{where}: its dense_rle is no list of values and lengths; export it again")
        if len(layers) > 1 or not isinstance(numbers, dict) or sum(code[1::2]) != total:
            raise UserError(f"{where}: is not one raster layer of the image's {total} pixels; export it again")
        self._numbers: dict[str, Any] = numbers
        self._map = np.repeat(np.array(code[::2], np.int64), np.array(code[1::2], np.int64)).reshape(size)

    def of(self, annotation: dict[str, Any]) -> dict[str, Any]:
        """Return the runs of an annotation's mask; empty ones if it has no pixel."""
        return {"segmentation": runs(self._map == self._numbers.get(str(annotation.get("id")), -1), self._size)}


def _numbers(value: Any, names: Sequence[str], where: str) -> list[float]:
    given = [value.get(name) for name in names] if isinstance(value, dict) else None
    return coco_fields.numbers(given, where, ", ".join(names))
