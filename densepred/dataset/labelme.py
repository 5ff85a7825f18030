"""labelme's JSON files, one per image: polygons, rectangles, circles and masks.

Source: https://github.com/wkentaro/labelme
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from densepred.dataset import coco, labelme_shape, named_image
from densepred.dataset.annotated import Annotated, files_below, some
from densepred.dataset.mask_runs import union
from densepred.dataset.outline import FILLED
from densepred.dataset.records import Records, size_given
from densepred.errors import UserError

RECTANGLES = ("rectangle", "oriented_rectangle")
OTHER = "images found by imagePath, though one has the name of the JSON file"


@dataclass(eq=False)
class Labelme(Annotated):
    """Shapes with one `group_id` and one label are one object, as labelme's own converter to COCO has it."""

    option: ClassVar[str] = "labelme"

    annotations: str | Sequence[str] = ("{split}", "annotations/{split}", "labels/{split}")

    def gather(self, split: str) -> Records:
        folder = self.find(self.annotations, split, "annotations")
        records = self.records(folder)
        found = {path: data for path in files_below(folder, ".json") if (data := _shapes(path)) is not None}
        for path, data in some(found, folder, "JSON file of labelme").items():
            height, width = data.get("imageHeight"), data.get("imageWidth")
            size = None if None in (height, width) else size_given(height, width, path)
            name = named_image.choose(records, path, data.get("imagePath"), other=OTHER)
            image = self.add_image(records, path, name, size=size)
            if image is not None:
                self._objects(records, image, path, data["shapes"])
        records.unread(folder, "images without a JSON file, left out")
        return records

    def _objects(self, records: Records, image: int, path: Path, shapes: list[Any]) -> None:
        groups: dict[tuple[str, Any], list[Any]] = {}
        records.told["images without a shape, read as images without objects"] += not shapes
        for number, shape in enumerate(shapes):
            where = f"{path}: shapes[{number}]"
            if not isinstance(shape, dict) or not isinstance(shape.get("label"), str) or not shape["label"]:
                raise UserError(f"{where}: has no label; give it one")
            kind, group = shape.get("shape_type") or "polygon", shape.get("group_id")
            if kind in labelme_shape.OPEN:
                records.leave_out(f"shapes of the type {kind}", "they have no area")
                continue
            records.told[f"{FILLED}, as labelme's own converters have it"] += kind in RECTANGLES
            key = (shape["label"], ("shape", number) if group is None else ("group", str(group)))
            groups.setdefault(key, []).append(labelme_shape.area(kind, shape, records.size(image), where))
        for (label, (kind, number)), parts in groups.items():
            if any(isinstance(part, Mapping) for part in parts):
                parts = union(parts, records.size(image), f"{path}: {label!r}, {kind} {number}")
            records.add(image, label, records.place(path, f"{label!r}, {kind} {number}"), segmentation=parts)


def _shapes(path: Path) -> dict[str, Any] | None:
    """Return the content of a file of labelme, None for another JSON file."""
    data = coco.read_json(path)
    return data if isinstance(data, dict) and isinstance(data.get("shapes"), list) else None
