"""Files of the VGG Image Annotator: JSON, CSV and projects of versions 2 and 3, as regions of version 2 per image.

Sources: https://www.robots.ox.ac.uk/~vgg/software/via/ and https://gitlab.com/vgg/via (via-3.x.y, DataFormat)
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from densepred.dataset import coco, coco_fields
from densepred.errors import UserError, shown

Json = dict[str, Any]
PARTS = ("shape_attributes", "region_attributes")
IMAGE = 2
"""Type of an image file in version 3; others are videos and sounds."""
POINT, RECTANGLE, CIRCLE, ELLIPSE, LINE, POLYLINE, POLYGON, EXTREME_RECTANGLE, EXTREME_CIRCLE = range(1, 10)
"""Numbers of the shapes in version 3."""
OPEN = {POINT: "point", LINE: "line", POLYLINE: "polyline", EXTREME_CIRCLE: "extreme_circle"}
THIRD = ("metadata", "file", "view", "attribute")
"""Keys of a project of version 3."""
HEADER = "# CSV_HEADER = "


def read(path: Path) -> list[tuple[str, Json]]:
    """Return per image what messages call it, and its `filename` and `regions` as version 2 has them.

    Raises UserError if the file is none of VIA, or if it marks videos.
    """
    if path.suffix.lower() == ".csv":
        return _from_csv(path)
    data = coco.read_json(path)
    if isinstance(data, dict) and all(isinstance(data.get(key), dict) for key in THIRD):
        return _third(data, path)
    files = data.get("_via_img_metadata", data) if isinstance(data, dict) else None
    if not isinstance(files, dict) or not all(isinstance(f, dict) and "regions" in f for f in files.values()):
        raise UserError(f"{path}: is no file of VIA; export the annotations as JSON or CSV, or give the project")
    return [(key, {**entry, "regions": _regions(entry, f"{path}: {shown(key)}")}) for key, entry in files.items()]


def _regions(entry: Json, where: str) -> list[Json]:
    """Return the regions of an image, which older versions number in a mapping."""
    found = entry["regions"]
    listed = list(found.values()) if isinstance(found, dict) else found
    if not isinstance(listed, list) or not all(
        isinstance(region, dict) and all(isinstance(region.get(part), dict) for part in PARTS) for region in listed
    ):
        raise UserError(f"{where}: its regions lack shape_attributes or region_attributes; export it again from VIA")
    return listed


def _third(data: Json, path: Path) -> list[tuple[str, Json]]:
    """Return the images of a project of version 3 with their regions."""
    out = dict[str, Json]()
    for number, view in data["view"].items():
        files = view.get("fid_list") if isinstance(view, dict) else None
        found = [data["file"].get(str(one)) for one in files] if isinstance(files, list) else []
        if len(found) != 1 or not isinstance(found[0], dict) or found[0].get("type") != IMAGE:
            raise UserError(f"{path}: view {shown(number)} is no single image; give a project of images, one per view")
        out[number] = {"filename": found[0].get("fname") or found[0].get("src"), "regions": []}
    for number, one in data["metadata"].items():
        where = f"{path}: metadata {shown(number)}"
        if not isinstance(one, dict) or str(one.get("vid")) not in out:
            raise UserError(f"{where}: belongs to no view; save the project again")
        region = _region(one.get("xy"), one.get("z"), one.get("av"), data["attribute"], where)
        out[str(one["vid"])]["regions"] += [] if region is None else [region]
    return [(str(entry["filename"]), entry) for entry in out.values()]


def _region(xy: Any, z: Any, values: Any, attributes: Mapping[str, Any], where: str) -> Json | None:
    """Return a region of version 3 as one of version 2; None for a mark without a shape, such as of a whole image."""
    if z:
        raise UserError(f"{where}: is a part of a video, from {shown(z)} s on; give a project of images, one per view")
    if not xy:
        return None
    kind, *numbers = coco_fields.numbers(xy, where, "xy")
    named = {str(key): _value(attributes.get(str(key)), value) for key, value in dict(values or {}).items()}
    known = {str(key): str(one.get("aname", key)) for key, one in attributes.items() if isinstance(one, dict)}
    return {
        "shape_attributes": _shape(int(kind), numbers, where),
        "region_attributes": {known.get(key, key): value for key, value in named.items()},
    }


def _value(attribute: Any, value: Any) -> Any:
    """Return the text of a chosen option; those of a checkbox, numbers with commas, as a mapping."""
    options = attribute.get("options") if isinstance(attribute, dict) else None
    if not isinstance(options, dict) or not options or not isinstance(value, str):
        return value
    if value in options:
        return options[value]
    ticked = value.split(",")
    return {options[one]: True for one in ticked} if {*ticked} <= options.keys() else value


def _shape(kind: int, numbers: Sequence[float], where: str) -> Json:
    if kind in OPEN:
        return {"name": OPEN[kind]}
    if kind == POLYGON:
        return {"name": "polygon", "all_points_x": list(numbers[::2]), "all_points_y": list(numbers[1::2])}
    if kind == EXTREME_RECTANGLE and len(numbers) >= 4:
        x, y = numbers[::2], numbers[1::2]
        numbers = (min(x), min(y), max(x) - min(x), max(y) - min(y))
    known = {
        RECTANGLE: ("rect", ("x", "y", "width", "height")),
        EXTREME_RECTANGLE: ("rect", ("x", "y", "width", "height")),
        CIRCLE: ("circle", ("cx", "cy", "r")),
        ELLIPSE: ("ellipse", ("cx", "cy", "rx", "ry", "theta")),
    }
    if kind not in known:
        raise UserError(f"{where}: has the shape {kind}, which VIA does not have; draw it again")
    name, keys = known[kind]
    return {"name": name, **dict(zip(keys, numbers, strict=False))}


def _from_csv(path: Path) -> list[tuple[str, Json]]:
    try:
        lines = path.read_text(encoding="utf-8-sig").replace("#filename,", "filename,", 1).splitlines()  # of version 1
        third = next((line.removeprefix(HEADER) for line in lines if line.startswith(HEADER)), None)
        attributes = next((line for line in lines if line.startswith("# ATTRIBUTE = ")), "# ATTRIBUTE = {}")
        rows = [line for line in lines if line.strip() and not line.startswith("#")]
        table = list(csv.DictReader(rows if third is None else [third, *rows]))
        known = json.loads(attributes.partition(" = ")[2])
        out = dict[str, Json]()
        for number, row in enumerate(table, 1):
            name, region = _row(row, known, f"{path}: row {number}")
            entry = out.setdefault(name, {"filename": name, "regions": []})
            entry["regions"] += [] if region is None else [region]
    except (OSError, UnicodeDecodeError, csv.Error, KeyError, TypeError, RecursionError, json.JSONDecodeError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: cannot be read as VIA's CSV ({reason}); export it again from VIA") from error
    return list(out.items())


def _row(row: Mapping[str, str], known: Mapping[str, Any], where: str) -> tuple[str, Json | None]:
    """Return the image and the region of a line; versions 2 and 3 have other columns."""
    if "filename" in row:
        shape, attributes = json.loads(row["region_shape_attributes"]), json.loads(row["region_attributes"])
        return row["filename"], {"shape_attributes": shape, "region_attributes": attributes} if shape else None
    files, z, xy, values = (
        json.loads(row[key]) for key in ("file_list", "temporal_coordinates", "spatial_coordinates", "metadata")
    )
    if len(files) != 1:
        raise UserError(f"{where}: is of {len(files)} files; give a project of images, one per view")
    return str(files[0]), _region(xy, z, values, known, where)
