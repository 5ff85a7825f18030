"""Projects of Supervisely: a JSON file per image, with bitmaps, polygons and rectangles, and the classes in meta.json.

Source: https://docs.supervisely.com/data-organization/00_ann_format_navi
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from densepred.dataset import coco, supervisely_shape
from densepred.dataset.annotated import Annotated, files_below, some
from densepred.dataset.records import Records, size_given
from densepred.errors import UserError, shown

FRACTIONS = "rectangles with fractions of pixels; type dataset.inclusive=false if their corners lie on edges of pixels"


@dataclass(eq=False)
class Supervisely(Annotated):
    """Datasets of the project are the splits. The image of `ann/a.png.json` is `img/a.png`.

    `inclusive`: corners name pixels that belong to the figure, as in exports; otherwise they lie on edges of pixels.
    """

    option: ClassVar[str] = "supervisely"

    annotations: str | Sequence[str] = ("{split}", "datasets/{split}")
    inclusive: bool = True

    def gather(self, split: str) -> Records:
        folder = self.find(self.annotations, split, "annotations")
        records = self.records(folder)
        meta = self._folder / "meta.json"
        if meta.is_file():
            records.list_classes(*supervisely_shape.classes(coco.read_json(meta), meta))
        found = [path for path in files_below(folder, ".json") if path.parent.name == "ann"]
        for path in some(found, folder, "ann/*.json"):
            data = coco.read_json(path)
            if not isinstance(data, dict) or not isinstance(data.get("objects"), list):
                raise UserError(f"{path}: lists no objects; export the project again in Supervisely's format")
            size = data["size"] if isinstance(data.get("size"), dict) else {}
            given = size_given(size.get("height"), size.get("width"), path)
            image = self.add_image(records, path, path.stem, [path.parent.parent / "img"], given)
            if image is not None:
                self._objects(records, image, path, data["objects"])
        for images in sorted({path.parent.parent / "img" for path in found}):
            records.unread(images, "images without a JSON file, left out")
        return records

    def _objects(self, records: Records, image: int, path: Path, figures: list[Any]) -> None:
        records.told["images without figures, read as images without objects"] += not figures
        for number, figure in enumerate(figures):
            place, where = records.place(path, f"objects[{number}]"), f"{path}: objects[{number}]"
            if not isinstance(figure, dict) or not isinstance(figure.get("classTitle"), str):
                raise UserError(f"{where}: has no classTitle; give it one")
            kind = figure.get("geometryType")
            if kind not in supervisely_shape.KINDS:
                records.leave_out(f"figures of the type {shown(kind)}")
                continue
            found = supervisely_shape.fields(kind, figure, records.size(image), self.inclusive, where)
            if self.inclusive and any(value % 1 for value in found.get("bbox", ())):
                records.told[FRACTIONS] += 1
            records.add(image, figure["classTitle"], place, **found)
