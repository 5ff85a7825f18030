"""Features of a GeoJSON file, as QuPath writes it for an image: outlines in pixels, with classifications.

Source: RFC 7946; https://qupath.readthedocs.io/en/stable/docs/advanced/exporting_annotations.html
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from densepred.dataset import coco, coco_fields
from densepred.dataset.palette import Colour, parse_colour
from densepred.errors import UserError, shown

DEPTH = {"Polygon": 1, "MultiPolygon": 2}
"""Lists around each ring of the geometries that mark an area."""


class Feature(NamedTuple):
    """An object: its place in the file, its class and its colour if it has some, and its rings x, y, x, y, ..."""

    place: str
    name: str | None
    colour: Colour | None
    rings: list[list[float]]


def features(path: Path, told: Counter[str]) -> list[Feature]:
    """Return the features of a collection, of a list, or the only one; `told` counts those that are left out."""
    data = coco.read_json(path)
    listed = data.get("features", [data]) if isinstance(data, dict) else data
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise UserError(f"{path}: lists no features; export the objects from QuPath as GeoJSON")
    out = list[Feature]()
    for number, one in enumerate(listed):
        place, geometry = f"features[{number}]", one.get("geometry")
        kind = geometry.get("type") if isinstance(geometry, dict) else None
        if not isinstance(kind, str) or kind not in DEPTH:
            word = kind if isinstance(kind, str) else shown(kind)
            told[f"features of the type {word} left out, because they mark no area"] += 1
            continue
        where = f"{path}: {place}"
        name, colour = _classification(one, where)
        out.append(Feature(place, name, colour, _rings(geometry.get("coordinates"), DEPTH[kind], where)))
    return out


def _classification(feature: dict[str, Any], where: str) -> tuple[str | None, Colour | None]:
    """Return name and colour; the latter is a list, or the 32 bits of alpha, red, green and blue."""
    properties = feature.get("properties")
    found = properties.get("classification") if isinstance(properties, dict) else None
    if not isinstance(found, dict) or not isinstance(found.get("name"), str) or not found["name"]:
        return None, None
    if type(packed := found.get("colorRGB")) is int:
        return found["name"], (packed >> 16 & 255, packed >> 8 & 255, packed & 255)
    colour = found.get("color")
    return found["name"], None if colour is None else parse_colour(colour, f"{where}: its color")


def _rings(coordinates: Any, depth: int, where: str) -> list[list[float]]:
    rings = coordinates if isinstance(coordinates, list) else [coordinates]
    for _ in range(depth - 1):
        rings = [ring for polygon in rings for ring in (polygon if isinstance(polygon, list) else [polygon])]
    if not all(isinstance(ring, list) for ring in rings):
        raise UserError(f"{where}: its coordinates are {shown(coordinates)}; give rings of [x, y]")
    pairs = [[coco_fields.numbers(point, where, "coordinates") for point in ring] for ring in rings]
    if any(len(point) < 2 for ring in pairs for point in ring):
        raise UserError(f"{where}: its coordinates are {shown(coordinates)}; give x and y of each point")
    return [[value for point in ring for value in point[:2]] for ring in pairs]
