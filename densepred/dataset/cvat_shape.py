"""Shapes of CVAT's XML as fields of a COCO annotation.

Source: https://docs.cvat.ai/docs/dataset_management/formats/format-cvat/
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np

from densepred.dataset import coco_fields
from densepred.dataset.mask_runs import runs
from densepred.dataset.outline import ellipse, rectangle
from densepred.dataset.palette import Colour, parse_colour
from densepred.errors import UserError, shown

KINDS = ("box", "polygon", "mask", "ellipse")
"""Shapes that mark an area."""
WITHOUT_AREA = ("cuboid", "points", "polyline", "skeleton", "tag")
"""Types of labels of which no shape marks an area."""
RUNS = re.compile(r"\s*\d{1,9}\s*(,\s*\d{1,9}\s*)*", re.ASCII)
"""Lengths of the runs of a mask."""


def labels(root: Element, path: Path) -> tuple[list[str], dict[str, Colour]]:
    """Return the labels that a file lists, in its order, without those of no area; and their colours.

    Raises UserError for a file of another program.
    """
    if root.tag != "annotations":
        raise UserError(f"{path}: is no file of CVAT; export from CVAT as CVAT for images 1.1")
    found = [
        label
        for label in root.findall("meta/*/labels/label")
        if label.findtext("type") not in WITHOUT_AREA and label.find("parent") is None  # parts of skeletons have one
    ]
    colours = {name: colour for label in found if (name := _name(label)) and (colour := label.findtext("color"))}
    parsed = {name: parse_colour(colour, f"{path}: the colour of {shown(name)}") for name, colour in colours.items()}
    return [name for label in found if (name := _name(label))], parsed


def _name(label: Element) -> str:
    return (label.findtext("name") or "").strip()


def fields(shape: Element, size: tuple[int, int], where: str) -> dict[str, Any]:
    """Return box, polygon or run-length mask of a shape of KINDS; size: height and width of the image."""
    if shape.tag == "polygon":
        return {"segmentation": [_points(shape, where)]}
    if shape.tag == "mask":
        return {"segmentation": _mask(shape, size, where)}
    (turn,) = _numbers(shape, ("rotation",), where, "0")
    if shape.tag == "ellipse":
        x, y, rx, ry = _numbers(shape, ("cx", "cy", "rx", "ry"), where)
        return {"segmentation": [ellipse(x, y, rx, ry, math.radians(turn))]}
    x0, y0, x1, y1 = _numbers(shape, ("xtl", "ytl", "xbr", "ybr"), where)
    if turn:
        return {"segmentation": [_turned(rectangle(x0, y0, x1, y1), math.radians(turn))]}
    return {"bbox": [x0, y0, x1 - x0, y1 - y0]}


def whole(element: Element, name: str, where: str, absent: str | None = None) -> int:
    """Return an attribute that is a whole number, or raise UserError."""
    text = element.get(name, absent)
    try:
        return int(text or "")
    except ValueError as error:
        raise UserError(f"{where}: its {name} is {shown(text)}; give a whole number") from error


def _numbers(shape: Element, names: tuple[str, ...], where: str, absent: str | None = None) -> list[float]:
    return _parsed([shape.get(name, absent) for name in names], where, ", ".join(names))


def _parsed(texts: list[str | None], where: str, what: str) -> list[float]:
    try:
        values = [float(text or "") for text in texts]
    except ValueError as error:
        raise UserError(f"{where}: its {what} are {shown(texts)}; give numbers of pixels") from error
    return coco_fields.numbers(values, where, what)


def _points(shape: Element, where: str) -> list[float]:
    """Return x, y, x, y, ... of `points`, written as "x,y;x,y"."""
    pairs = [pair.split(",") for pair in shape.get("points", "").split(";")]
    if any(len(pair) != 2 for pair in pairs):
        raise UserError(f"{where}: its points are {shown(shape.get('points'))}; give x,y;x,y;... of its corners")
    return _parsed([text for pair in pairs for text in pair], where, "points")


def _turned(corners: list[float], angle: float) -> list[float]:
    """Return the corners of a rectangle that is turned about its center, clockwise as y points down."""
    points = np.array(corners).reshape(-1, 2)
    center, (cos, sin) = points.mean(0), (math.cos(angle), math.sin(angle))
    return ((points - center) @ np.array([[cos, sin], [-sin, cos]]) + center).ravel().tolist()


def _mask(shape: Element, size: tuple[int, int], where: str) -> dict[str, Any]:
    """Return the runs of a mask: by rows of its box there, the first one of zeros."""
    left, top, width, height = (whole(shape, name, where) for name in ("left", "top", "width", "height"))
    text = shape.get("rle", "")
    lengths = [int(length) for length in text.split(",")] if RUNS.fullmatch(text) else [-1]
    if not (0 < width <= size[1] and 0 < height <= size[0]) or min(lengths) < 0 or sum(lengths) != width * height:
        raise UserError(
            f"{where}: its rle does not fill {width} x {height} pixels within the image's {size[1]} x {size[0]}; "
            "export it again"
        )
    mask = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths).reshape(height, width)
    return runs(mask, size, left, top)
