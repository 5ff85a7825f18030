"""Figures of Supervisely's JSON as fields of a COCO annotation.

Source: https://docs.supervisely.com/data-organization/00_ann_format_navi/04_supervisely_format_objects
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from densepred.dataset import coco_fields, png_mask
from densepred.dataset.mask_runs import outlines, runs
from densepred.dataset.palette import Colour, parse_colour
from densepred.errors import UserError, shown

BITMAPS = ("bitmap", "alpha_mask")
KINDS = ("rectangle", "polygon", "multipolygon", *BITMAPS)
"""Figures that mark an area."""
WITHOUT_AREA = ("point", "line", "polyline", "graph", "cuboid", "cuboid_2d")
"""Shapes of classes of which no figure marks an area."""
LARGEST = 1 << 26
"""Bytes that the PNG of a bitmap may have."""


def classes(meta: Any, path: Path) -> tuple[list[str], dict[str, Colour]]:
    """Return the classes that meta.json lists, in its order, without those of no area; and their colours."""
    listed = meta.get("classes") if isinstance(meta, dict) else None
    if not isinstance(listed, list) or not all(isinstance(c, dict) and isinstance(c.get("title"), str) for c in listed):
        raise UserError(f"{path}: lists no classes with titles; export the project again")
    found = {one["title"]: one.get("color") for one in listed if one.get("shape") not in WITHOUT_AREA}
    where = f"{path}: the colour of"
    return [*found], {name: parse_colour(c, f"{where} {shown(name)}") for name, c in found.items() if c is not None}


def fields(kind: str, figure: Mapping[str, Any], size: tuple[int, int], inclusive: bool, where: str) -> dict[str, Any]:
    """Return box, polygon or run-length mask of a figure of KINDS; size: height and width of the image.

    inclusive: corners name pixels that belong to the figure; otherwise they lie on edges of pixels
    """
    if kind in BITMAPS:
        mask, left, top = _bitmap(figure.get(kind) or figure.get("bitmap"), size, where)
        return {"segmentation": runs(mask, size, left, top)}
    if kind == "rectangle":
        ring = _ring(_points(figure, where).get("exterior"), 0, where)
        if len(ring) != 4:
            raise UserError(f"{where}: its exterior is {shown(ring)}; give two corners")
        x0, y0, x1, y1 = (*map(min, ring[:2], ring[2:]), *map(max, ring[:2], ring[2:]))
        return {"bbox": [x0, y0, x1 - x0 + inclusive, y1 - y0 + inclusive]}
    parts = figure.get("parts") if kind == "multipolygon" else [_points(figure, where)]
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise UserError(f"{where}: its parts are {shown(parts)}; export it again")
    if not all(isinstance(part.get("interior") or [], list) for part in parts):
        raise UserError(f"{where}: its parts are {shown(parts)}, with an interior that is no list; export it again")
    rings = [ring for part in parts for ring in (part.get("exterior"), *(part.get("interior") or []))]
    return {"segmentation": outlines([_ring(ring, inclusive / 2, where) for ring in rings], size, where)}


def _points(figure: Mapping[str, Any], where: str) -> dict[str, Any]:
    points = figure.get("points")
    if not isinstance(points, dict):
        raise UserError(f"{where}: its points are {shown(points)}; give exterior and interior")
    return points


def _ring(points: Any, shift: float, where: str) -> list[float]:
    """Return x, y, x, y, ... of a list of [x, y], moved from the corner of a pixel by `shift`."""
    pairs = [coco_fields.numbers(pair, where, "points") for pair in (points if isinstance(points, list) else [points])]
    if any(len(pair) != 2 for pair in pairs):
        raise UserError(f"{where}: its points are {shown(points)}; give x and y of each corner")
    return [value + shift for pair in pairs for value in pair]


def _bitmap(value: Any, size: tuple[int, int], where: str) -> tuple[np.ndarray, int, int]:
    """Return a mask (h, w) bool and the x and y of its first pixel, of a PNG packed by zlib and base64."""
    data, origin = (value.get("data"), value.get("origin")) if isinstance(value, dict) else (None, None)
    left, top = _ring([origin], 0, where)
    try:
        packed = zlib.decompressobj().decompress(base64.b64decode(data or "", validate=True), LARGEST)
        return png_mask.decode(packed, size), round(left), round(top)
    except Exception as error:  # Pillow's plug-ins raise nearly every type
        raise UserError(f"{where}: its bitmap cannot be read ({error}); export it again") from error
