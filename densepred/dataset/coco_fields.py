"""Fields of an annotation in COCO's JSON, checked: values are finite, of plausible size and of the right form."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, TypeVar

from densepred.dataset.coco import Entry, Id, Skip, identity
from densepred.errors import UserError, shown
from densepred.ops.boxes.coco import clipped, from_coco

Class = TypeVar("Class", int, int | None)

Outline = list[list[float]] | dict[str, Any] | None
"""Polygons or a run-length mask."""

FAR = 1e6  # pixels; float32 still resolves sixteenths of a pixel there
FURTHER = re.compile(r"\w+_kpts|keypoints_\d+")
TINY = 6  # numbers of the smallest polygon: three points


def numbers(values: object, where: str, what: str, low: float = -FAR, high: float = FAR) -> list[float]:
    """Return a list of finite numbers between the bounds, or raise UserError."""
    try:
        if isinstance(values, list) and all(low <= value <= high for value in values):
            return [float(value) for value in values]
    except (TypeError, ValueError):
        pass
    raise UserError(
        f"{where}: its {what} is {shown(values)}; give finite numbers from {low:g} to {high:g}, or remove it"
    )


def category(record: Mapping[str, Any], classes: Mapping[Id, Class], where: str) -> Class:
    """Return the class of an annotation's category_id."""
    found = identity(record, "category_id", where)
    if found not in classes:
        raise UserError(f"{where}: its category_id {shown(found)} is not among the categories; add the category")
    return classes[found]


def crowd(record: Mapping[str, Any], where: str, changed: Counter[str] | None = None) -> bool:
    """Return `iscrowd`; False if it is absent. Objects marked `ignore`, as in CrowdHuman, count as crowds."""
    value = record.get("iscrowd", 0)
    if value not in (0, 1):
        raise UserError(f"{where}: its iscrowd is {shown(value)}; give 0 or 1")
    if changed is not None and not value and record.get("ignore") == 1:
        changed["annotations marked ignore, read as crowds: neither hits nor misses"] += 1
        return True
    return bool(value)


def box(record: Mapping[str, Any], where: str) -> list[float] | None:
    """Return x0, y0, x1, y1, where 0 is the center of the first pixel, not its edge as in the file.

    None if it is absent. Raises Skip if it has no area.
    """
    if record.get("bbox") is None:
        return None
    values = numbers(record["bbox"], where, "bbox")
    if len(values) != 4 or min(values[2:]) < 0:
        raise UserError(f"{where}: its bbox is {shown(values)}; give x, y, width and height")
    x, y, width, height = values
    if width == 0 or height == 0:
        raise Skip("boxes without area")
    return list(from_coco(x, y, width, height))


def true_box(record: Mapping[str, Any], entry: Entry, where: str, changed: Counter[str]) -> list[float] | None:
    """Return `box` clipped to the image, as predicted boxes are; None if it is absent or has no area there."""
    try:
        whole = box(record, where)
    except Skip:
        return None
    out = None if whole is None else clipped(whole, entry.size)
    if out is not None and out != whole:
        changed["boxes clipped to the image"] += 1
    return out


def area(record: Mapping[str, Any], where: str) -> float | None:
    """Return the area in pixels; None if it is absent."""
    value = record.get("area")
    return None if value is None else numbers([value], where, "area", 0, FAR * FAR)[0]


def likely(area: float | None, changed: Counter[str]) -> float | None:
    """Return the area of an instance that has a box or a mask; None for 0, which exporters write for an unknown one."""
    if area == 0:
        changed["areas of 0, replaced by those of masks or boxes"] += 1
    return area or None


def segmentation(record: Mapping[str, Any], entry: Entry, where: str, changed: Counter[str]) -> Outline:
    """Return polygons of three points or more, or a run-length mask of the image's size; None if it is absent.

    Raises Skip if it covers nothing.
    """
    value = record.get("segmentation")
    if value is None:
        return None
    if isinstance(value, dict):
        return _runs(value, entry, where)
    if not isinstance(value, list):
        raise UserError(f"{where}: its segmentation is {shown(value)}; give polygons or a run-length mask")
    # Bound the outlines, so that the file cannot make drawing slow
    far = float(max(entry.size))
    out = [numbers(polygon, where, "polygon", -far, 2 * far) for polygon in value]
    if any(len(polygon) % 2 for polygon in out):
        raise UserError(f"{where}: a polygon has an odd number of coordinates; give x and y of each point")
    # Fewer points enclose nothing; pycocotools would read four numbers as a box
    kept = [polygon for polygon in out if len(polygon) >= TINY]
    if not kept:
        raise Skip("empty polygons")
    if len(kept) < len(out):
        changed["outlines of fewer than three points beside others, left out"] += len(out) - len(kept)
    return kept


def _runs(value: dict[str, Any], entry: Entry, where: str) -> dict[str, Any]:
    size, counts = value.get("size"), value.get("counts")
    if size != list(entry.size):
        raise UserError(
            f"{where}: its run-length mask has size {shown(size)} but the image is {list(entry.size)} (height, width); "
            "make them equal"
        )
    if isinstance(counts, str):
        return {"size": size, "counts": counts}
    total = entry.size[0] * entry.size[1]
    runs = numbers(counts, where, "run-length mask", 0, total)
    if sum(runs) != total or any(run != int(run) for run in runs):
        raise UserError(f"{where}: the runs of its mask add up to {sum(runs):g}, not {total} pixels; write it again")
    if not any(runs[1::2]):
        raise Skip("empty masks")
    return {"size": size, "counts": [int(run) for run in runs]}


def keypoints(record: Mapping[str, Any], count: int, where: str) -> list[list[float]]:
    """Return x, y and visibility of each of `count` keypoints; [] if they are absent or none is labelled.

    A list per keypoint, as in RHD, is read as one. `keypoints_21` is read if its number is `count`, as in Human-Art.
    """
    value = record.get("keypoints")
    if value is None or value == []:
        return []
    value = record.get(_whole(record, count) or "", value)
    if isinstance(value, list) and value and all(isinstance(point, list) and len(point) == 3 for point in value):
        value = [number for point in value for number in point]
    flat = numbers(value, where, "keypoints")
    if len(flat) != 3 * count:
        raise UserError(f"{where}: its keypoints are {len(flat)} numbers; give x, y and visibility of each of {count}")
    if not {*flat[2::3]} <= {0.0, 1.0, 2.0}:
        raise UserError(f"{where}: visibilities are {shown(sorted({*flat[2::3]}))}; give 0, 1 or 2")
    points = [flat[start : start + 3] if flat[start + 2] else [0.0, 0.0, 0.0] for start in range(0, len(flat), 3)]
    return points if any(point[2] for point in points) else []


def _whole(record: Mapping[str, Any], count: int) -> str | None:
    """Return the field of all keypoints where `keypoints` holds the first of them alone."""
    few, key = record.get("keypoints"), f"keypoints_{count}"
    whole = isinstance(few, list) and len(few) < 3 * count and isinstance(record.get(key), list)
    return key if whole else None


def other_keypoints(record: Mapping[str, Any], count: int) -> list[str]:
    """Return the fields of keypoints that are not read, such as `face_kpts` of COCO-WholeBody."""
    found = {key for key, value in record.items() if FURTHER.fullmatch(key) and isinstance(value, list)}
    return sorted(found - {_whole(record, count)})
