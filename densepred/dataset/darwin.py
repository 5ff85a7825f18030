"""V7's Darwin JSON 2.0, a file per image: polygons of one or several paths, boxes, ellipses and masks.

Source: https://docs.v7labs.com/reference/darwin-json
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from densepred.dataset import coco, darwin_shape
from densepred.dataset.annotated import Annotated, files_below, some
from densepred.dataset.records import Records
from densepred.errors import UserError, shown


@dataclass(eq=False)
class Darwin(Annotated):
    """Images are found by `item.path` and `item.name`, in the folder `images` or beside the JSON file."""

    option: ClassVar[str] = "darwin"

    annotations: str | Sequence[str] = ("{split}", "annotations/{split}", "releases/latest/annotations/{split}")
    images: str | Sequence[str] = ("images/{split}", "{split}/images", "{split}", "images", ".")

    def gather(self, split: str) -> Records:
        folder, images = self.find(self.annotations, split, "annotations"), self.find(self.images, split, "images")
        records = self.records(folder)
        files = files_below(folder, ".json")
        found = {path: data for path in files if _is_darwin(data := coco.read_json(path))}
        for path, data in some(found, folder, "Darwin JSON 2.0").items():
            item = data["item"]
            if not isinstance(slots := item.get("slots") or [], list) or not all(
                isinstance(one, dict) for one in slots
            ):
                raise UserError(f"{path}: its slots are {shown(slots)}, no list of mappings; export it again")
            if len(slots) > 1 or any("frames" in one for one in data["annotations"]):
                raise UserError(f"{path}: holds a video or several images in one item; export single images")
            place = images / str(item.get("path") or "").strip("/")
            image = self.add_image(records, path, item.get("name"), [place, images])
            if image is not None:
                slot = next(iter(slots or [{}]))
                records.compare(image, slot.get("height"), slot.get("width"))
                self._objects(records, image, path, data["annotations"])
        records.unread(images, "images without a JSON file, left out")
        return records

    def _objects(self, records: Records, image: int, path: Path, annotations: list[dict[str, Any]]) -> None:
        size = records.size(image)
        layers = [one["raster_layer"] for one in annotations if isinstance(one.get("raster_layer"), dict)]
        masks = darwin_shape.Masks(layers, size, f"{path}: raster_layer")
        records.told["images without annotations, read as images without objects"] += not annotations
        for number, one in enumerate(annotations):
            place, where = records.place(path, f"annotations[{number}]"), f"{path}: annotations[{number}]"
            if "raster_layer" in one:  # the pixels of the masks
                continue
            if (kind := next((kind for kind in darwin_shape.KINDS if kind in one), None)) is None:
                other = next((kind for kind in darwin_shape.WITHOUT_AREA if kind in one), "unknown")
                records.leave_out(f"annotations of the type {other}")
                continue
            if not isinstance(one.get("name"), str) or not one["name"]:
                raise UserError(f"{where}: its name is {shown(one.get('name'))}; give it a class")
            found = masks.of(one) if kind == "mask" else darwin_shape.fields(kind, one[kind], size, where)
            records.add(image, one["name"], place, **found)


def _is_darwin(data: Any) -> bool:
    """Tell if a JSON file is of version 2, which alone has an `item`."""
    lists = isinstance(data, dict) and isinstance(data.get("item"), dict) and isinstance(data.get("annotations"), list)
    return lists and all(isinstance(one, dict) for one in data["annotations"])
