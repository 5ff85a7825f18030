"""labelme's JSON files, one per image: polygons, rectangles, circles and masks.

Source: https://github.com/wkentaro/labelme
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

from densepred.dataset import coco, paths, png_mask
from densepred.dataset.annotated import BY_OWN_NAME, Annotated, count, files_below, found_beside, own_image
from densepred.dataset.file_names import normal
from densepred.dataset.mask_runs import runs, union
from densepred.dataset.outline import outline
from densepred.dataset.records import Records
from densepred.errors import UserError

OPEN = ("line", "linestrip", "point", "points")
"""Shapes without an area."""
OTHER = "images found by imagePath, though one has the name of the JSON file"


@dataclass(eq=False)
class Labelme(Annotated):
    """Shapes with one `group_id` and one label are one object, as labelme's own converter to COCO has it."""

    option: ClassVar[str] = "labelme"

    annotations: str | Sequence[str] = ("{split}", "annotations/{split}", "labels/{split}")

    def gather(self, split: str) -> Records:
        folder = self.find(self.annotations, split, "annotations")
        records = Records(folder, self._folder, self.max_pixels, self.exif != "stored")
        found = [(path, data) for path in files_below(folder, ".json") if (data := _shapes(path)) is not None]
        if not found:
            raise paths.Absent(f"{folder}: holds no JSON file of labelme; check dataset.annotations and dataset.splits")
        for path, data in found:
            size = [data.get("imageHeight"), data.get("imageWidth")]
            given = None if None in size else (count(size[0], path), count(size[1], path))
            image = self.add_image(records, path, self._image(records, path, data.get("imagePath")), size=given)
            if image is not None:
                self._objects(records, image, path, data["shapes"])
        records.unread(folder, "images without a JSON file, left out")
        return records

    def _image(self, records: Records, path: Path, given: object) -> object:
        """Return `imagePath`, or the image with the file's own name if that is not there: images get renamed."""
        named = PurePosixPath(normal(given)) if isinstance(given, str) else PurePosixPath()
        there = bool(named.name) and found_beside(path, given, self._folder) is not None
        if there and named.stem == path.stem:
            return given
        own = own_image(path, named.suffix, self._folder)
        if own is not None:
            records.told[OTHER if there else BY_OWN_NAME] += 1
        return given if there or own is None else own

    def _objects(self, records: Records, image: int, path: Path, shapes: list[Any]) -> None:
        groups: dict[tuple[str, Any], list[Any]] = {}
        records.told["images without a shape, read as images without objects"] += not shapes
        for number, shape in enumerate(shapes):
            where = f"{path}: shapes[{number}]"
            if not isinstance(shape, dict) or not isinstance(shape.get("label"), str) or not shape["label"]:
                raise UserError(f"{where}: has no label; give it one")
            kind, group = shape.get("shape_type") or "polygon", shape.get("group_id")
            if kind in OPEN:
                records.told[f"shapes of the type {kind} left out, because they have no area"] += 1
                continue
            key = (shape["label"], ("shape", number) if group is None else ("group", str(group)))
            groups.setdefault(key, []).append(_area(kind, shape, records.size(image), where))
        for (label, (kind, number)), parts in groups.items():
            place = f"{path.relative_to(self._folder).as_posix()}, {label!r}, {kind} {number}"
            if any(isinstance(part, Mapping) for part in parts):
                parts = union(parts, records.size(image), f"{path}: {label!r}, {kind} {number}")
            records.add(image, label, place, segmentation=parts)


def _area(kind: str, shape: dict[str, Any], size: tuple[int, int], where: str) -> list[float] | dict[str, Any]:
    """Return the outline of a shape, or the runs of a mask; size: height and width of the image."""
    if kind != "mask":
        return outline(kind, shape.get("points"), where)
    x0, y0, *_ = outline("rectangle", shape.get("points"), where)
    try:
        mask = png_mask.decode(base64.b64decode(shape.get("mask") or "", validate=True), size)
    except Exception as error:  # Pillow's plug-ins raise nearly every type
        raise UserError(f"{where}: its mask cannot be read ({error}); draw it again") from error
    return runs(mask, size, int(x0), int(y0))


def _shapes(path: Path) -> dict[str, Any] | None:
    """Return the content of a file of labelme, None for another JSON file."""
    data = coco.read_json(path)
    return data if isinstance(data, dict) and isinstance(data.get("shapes"), list) else None
