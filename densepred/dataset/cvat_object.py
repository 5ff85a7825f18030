"""Objects of an image in CVAT's XML: a shape each, or the polygons of a group."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from densepred.dataset import cvat_shape
from densepred.dataset.records import Records
from densepred.errors import UserError


def add(records: Records, image: int, element: Element, path: Path) -> None:
    """Add the objects of an image of `path`. Polygons of one group and one label are one object.

    Raises UserError for a shape without a label.
    """
    groups: dict[tuple[str, str], list[Any]] = {}
    task = "" if path == records.path else f"{path.relative_to(records.folder).as_posix()}: "
    records.told["images without a shape, read as images without objects"] += not len(element)
    for number, shape in enumerate(element, 1):
        place = f"{task}{element.get('name')}, {shape.tag} {number}"
        where, label, group = f"{records.path}: {place}", shape.get("label"), shape.get("group_id", "0")
        if shape.tag not in cvat_shape.KINDS:
            records.leave_out(f"shapes of the type {shape.tag}")
            continue
        if not label:
            raise UserError(f"{where}: has no label; give it one")
        found = cvat_shape.fields(shape, records.size(image), where)
        if group != "0" and shape.tag == "polygon":
            if known := groups.get((group, label)):
                known += found["segmentation"]  # the list of the object that was added first
                continue
            groups[group, label] = found["segmentation"]
        elif group != "0":
            records.told[f"shapes of the type {shape.tag} in groups, each read as an object"] += 1
        records.add(image, label, place, layer=cvat_shape.whole(shape, "z_order", where, "0"), **found)
