"""Numbers that fit COCO's format but are meant otherwise: fractions, corners, centers, annotations given twice.

Many exporters write them. Read as COCO's they would be other objects, so clear cases are refused, others are counted.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from densepred.dataset.coco import CocoFile, Entry, Id, Record
from densepred.dataset.coco_fields import FAR
from densepred.dataset.facts import counted
from densepred.errors import Notice, UserError, shown

Corners = tuple[float, float, float, float]
FIT, CLEAR = 0.5, 0.9
"""IoU of a box with the extent of its mask: below FIT a notice counts it; from CLEAR they are equal."""
OUTSIDE = 0.1
"""Share of boxes beyond the image from which another form is likely; an exact file has none."""
FORMS = {"[x0, y0, x1, y1]": lambda a, b, c, d: (a, b, c, d)}
FORMS["[center x, center y, width, height]"] = lambda a, b, c, d: (a - c / 2, b - d / 2, a + c / 2, b + d / 2)
REMEDY = "write [x, y, width, height] in pixels, x and y of the upper left corner"


class Found(NamedTuple):
    """A box with an area as four numbers of the file, the extent of its polygons, and its image."""

    values: Corners
    extent: Corners | None
    entry: Entry


def check(file: CocoFile) -> None:
    """Raise UserError if coordinates are clearly of another form; issue a notice of what is merely suspicious."""
    records = [record for record in file.data["annotations"] if _place(record.get("image_id"), file.entries)]
    _refuse_fractions(file.path, records, file.entries)
    found = list(_boxes(records, file.entries))
    _refuse_corners(file.path, found)
    facts = [
        *_misfits(file.path, found),
        *_counted(_repeated(records), "annotations given twice, with equal image, category, box and mask; remove one"),
        *_counted(
            _miscounted(records),
            "annotations with another num_keypoints than labelled keypoints, which count",
        ),
        *_counted(_far_points(records, file.entries), "labelled keypoints beyond their image; check them"),
        *_counted(_at_origin(records), "labelled keypoints at (0, 0); give those that are missing visibility 0"),
    ]
    if facts:
        warnings.warn(f"{file.place}: {'; '.join(facts)}", Notice, stacklevel=2)


def _place(id: object, entries: dict[Id, Entry]) -> Entry | None:
    return entries.get(id) if isinstance(id, int | str) else None


def _coordinates(values: object) -> list[float] | None:
    """Return a list of numbers below FAR as it is; None for anything else, which is refused where it is read."""
    plain = isinstance(values, list) and all(type(value) in (int, float) and abs(value) < FAR for value in values)
    return values if plain and isinstance(values, list) and values else None


def _polygons(record: Record) -> list[float]:
    """Return the coordinates x, y, x, y, ... of all polygons of an annotation."""
    outline = record.get("segmentation")
    parts = [_coordinates(part) for part in outline] if isinstance(outline, list) else []
    return [value for part in parts if part is not None and len(part) % 2 == 0 for value in part]


def _points(record: Record) -> list[float]:
    """Return x, y, x, y, ... of the labelled keypoints."""
    flat = _coordinates(record.get("keypoints")) or []
    return [value for start in range(0, len(flat) - 2, 3) if flat[start + 2] > 0 for value in flat[start : start + 2]]


def _refuse_fractions(path: Path, records: list[Record], entries: dict[Id, Entry]) -> None:
    """Refuse a file in which every box with an area, polygon or keypoint lies between 0 and 1."""
    for field, read in (("bbox", _sized), ("segmentation", _polygons), ("keypoints", _points)):
        given = [(record, values) for record in records if (values := read(record))]
        large = all(min(entries[record["image_id"]].size) > 2 for record, _ in given)
        if given and large and all(0 <= value <= 1 for _, values in given for value in values):
            record, values = given[0]
            raise UserError(
                f"{path}: every {field} lies between 0 and 1 (annotation {shown(record.get('id'))}: "
                f"{shown([round(value, 4) for value in values[:4]])}), as fractions of the image do; multiply them by "
                f"its width and height"
            )


def _sized(record: Record) -> list[float] | None:
    """Return the four numbers of a box with an area."""
    values = _coordinates(record.get("bbox"))
    return values if values is not None and len(values) == 4 and min(values[2:]) > 0 else None


def _boxes(records: list[Record], entries: dict[Id, Entry]) -> Iterator[Found]:
    for record in records:
        values = _sized(record)
        if values is not None:
            flat = _polygons(record)
            extent = (min(flat[::2]), min(flat[1::2]), max(flat[::2]), max(flat[1::2])) if flat else None
            yield Found((values[0], values[1], values[2], values[3]), extent, entries[record["image_id"]])


def _plain(x: float, y: float, width: float, height: float) -> Corners:
    return x, y, x + width, y + height


def _refuse_corners(path: Path, found: list[Found]) -> None:
    """Refuse boxes without polygons of which many leave the image, while all are inside it as corners."""
    alone = [one for one in found if one.extent is None]
    beyond = [one for one in alone if not _inside(_plain(*one.values), one.entry)]
    ordered = all(v[0] < v[2] and v[1] < v[3] and _inside(v, entry) for v, _, entry in alone)
    if len(beyond) > max(1, OUTSIDE * len(alone)) and ordered:
        raise UserError(
            f"{path}: {len(beyond)} of {len(alone)} boxes leave their image, and none does if they are "
            f"{next(iter(FORMS))} (such as {shown(list(beyond[0].values))}); {REMEDY}"
        )


def _inside(corners: Corners, entry: Entry) -> bool:
    return corners[2] <= entry.size[1] + 1 and corners[3] <= entry.size[0] + 1


def _misfits(path: Path, found: list[Found]) -> Iterator[str]:
    """Tell how many boxes do not fit their masks. Raises UserError if another form of the boxes does."""
    both = [(one.values, one.extent) for one in found if one.extent is not None]
    overlaps = [_iou(_plain(*values), extent) for values, extent in both]
    for form, corners in FORMS.items():
        others = [_iou(corners(*values), extent) for values, extent in both]
        fits = sum(other >= CLEAR > overlap for other, overlap in zip(others, overlaps, strict=True))
        if fits > max(1, len(both) / 2):
            raise UserError(f"{path}: {fits} of {len(both)} boxes fit their masks only as {form}; {REMEDY}")
    differ = sum(overlap < FIT for overlap in overlaps)
    yield from _counted(differ, f"of {len(both)} boxes do not fit their masks (IoU below {FIT:g}); check them")


def _iou(first: Corners, second: Corners) -> float:
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    common = max(width, 0) * max(height, 0)
    areas = [max(c[2] - c[0], 0) * max(c[3] - c[1], 0) for c in (first, second)]
    return common / max(sum(areas) - common, 1e-9)


def _repeated(records: list[Record]) -> int:
    """Count annotations that repeat an earlier one in all but their id."""
    fields = ("image_id", "category_id", "bbox", "segmentation", "keypoints")
    return len(records) - len({hash(repr([record.get(field) for field in fields])) for record in records})


def _miscounted(records: list[Record]) -> int:
    """Count annotations with a `num_keypoints` that is not the number of their labelled keypoints."""
    given = [(one["num_keypoints"], one) for one in records if type(one.get("num_keypoints")) is int]
    return sum(number != len(_points(one)) // 2 for number, one in given if _coordinates(one.get("keypoints")))


def _far_points(records: list[Record], entries: dict[Id, Entry]) -> int:
    """Count labelled keypoints beyond the image by more than the half pixel that frames of coordinates differ by."""
    sizes = ((_points(one), entries[one["image_id"]].size) for one in records)
    return sum(
        not (-1 <= x <= size[1] and -1 <= y <= size[0])
        for flat, size in sizes
        for x, y in zip(*[iter(flat)] * 2, strict=True)
    )


def _at_origin(records: list[Record]) -> int:
    """Count labelled keypoints at (0, 0); a single one may be true."""
    counts = Counter((x, y) == (0, 0) for r in records for x, y in zip(*[iter(_points(r))] * 2, strict=True))
    return counts[True] if counts[True] > 1 else 0


def _counted(count: int, what: str) -> list[str]:
    return [counted(count, what)] if count else []
