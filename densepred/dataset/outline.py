"""Shapes of annotation programs as polygons."""

from __future__ import annotations

import math
from typing import Any

from densepred.dataset import coco_fields
from densepred.errors import UserError, shown

SIDES = 64
"""Corners of the polygon that a circle becomes."""
FILLED = "rectangles, read as masks that they fill"
"""Words of a line about rectangles that are no boxes, as those of CVAT, VIA and Label Studio are."""
FIELDS = {
    "polygon": ("all_points_x", "all_points_y"),
    "rect": ("x", "y", "width", "height"),
    "circle": ("cx", "cy", "r"),
    "ellipse": ("cx", "cy", "rx", "ry"),
}
"""Shapes of VIA, and the numbers that each has."""


def ellipse(x: float, y: float, rx: float, ry: float, angle: float = 0.0) -> list[float]:
    """Return x, y, x, y, ... on an ellipse with its center at x, y, turned by an angle in radians."""
    turns = [2 * math.pi * i / SIDES for i in range(SIDES)]
    along = [(rx * math.cos(t), ry * math.sin(t)) for t in turns]
    cos, sin = math.cos(angle), math.sin(angle)
    return [value for a, b in along for value in (x + a * cos - b * sin, y + a * sin + b * cos)]


def rectangle(x0: float, y0: float, x1: float, y1: float) -> list[float]:
    """Return the corners of a rectangle between two opposite ones."""
    return [x0, y0, x1, y0, x1, y1, x0, y1]


def outline(kind: str, points: Any, where: str) -> list[float]:
    """Return x, y, x, y, ... of a polygon, of a rectangle by two corners, or of a circle by center and border."""
    if kind == "oriented_rectangle":
        kind = "polygon"  # four corners
    if kind not in ("polygon", "rectangle", "circle"):
        raise UserError(
            f"{where}: is a shape of the type {shown(kind)}; polygons, rectangles, circles and masks can be read: "
            "draw it as one of them"
        )
    listed = points if isinstance(points, list) else [points]
    flat = [coco_fields.numbers(point, where, "points") for point in listed]
    if any(len(point) != 2 for point in flat) or (kind != "polygon" and len(flat) != 2):
        wanted = {"circle": "center and border", "rectangle": "two corners"}.get(kind, "x and y of each corner")
        raise UserError(f"{where}: its points are {shown(points)}; give {wanted}")
    if kind == "polygon":
        return [value for point in flat for value in point]
    (x0, y0), (x1, y1) = flat
    if kind == "rectangle":
        return rectangle(x0, y0, x1, y1)
    radius = math.hypot(x1 - x0, y1 - y0)
    return ellipse(x0, y0, radius, radius)


def region(shape: dict[str, Any], where: str) -> dict[str, Any]:
    """Return the shape of a region of VIA as fields of a COCO annotation: a box, or a polygon."""
    kind = shape.get("name")
    if not isinstance(kind, str) or kind not in FIELDS:
        raise UserError(f"{where}: has the shape {shown(kind)}; {', '.join(FIELDS)} can be read, so draw it as one")
    if kind == "polygon":
        across, down = (coco_fields.numbers(shape.get(key), where, key) for key in FIELDS[kind])
        if len(across) != len(down):
            raise UserError(f"{where}: has {len(across)} x and {len(down)} y; give both of each corner")
        return {"segmentation": [[value for point in zip(across, down, strict=True) for value in point]]}
    values = coco_fields.numbers([shape.get(key) for key in FIELDS[kind]], where, kind)
    if kind == "rect":
        return {"bbox": values}
    x, y, *radii = values
    (angle,) = coco_fields.numbers([shape.get("theta") or 0], where, "theta")
    return {"segmentation": [ellipse(x, y, radii[0], radii[-1], angle)]}
