"""Label Studio's export as JSON: rectangles, polygons, ellipses and brush masks.

Source: https://labelstud.io/guide/export
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import unquote

from densepred.dataset import brush, coco
from densepred.dataset.annotated import Annotated
from densepred.dataset.records import Records
from densepred.errors import UserError, shown

KINDS = ("rectanglelabels", "polygonlabels", "ellipselabels", "brushlabels")
BARE, LABELS = ("rectangle", "polygon", "ellipse", "brush"), "labels"
"""Results of the controls Rectangle, Polygon, Ellipse and Brush, and that of Labels, which names their classes."""
UPLOAD = re.compile(r"^[0-9a-f]{8}-")
"""Beginning that Label Studio gives to the name of an uploaded file."""


@dataclass(eq=False)
class LabelStudio(Annotated):
    """The first of several annotations of an image counts. Images are found by name in the folder `images`."""

    option: ClassVar[str] = "label_studio"

    annotations: str | Sequence[str] = ("{split}.json", "annotations/{split}.json", "{split}/annotations.json")
    images: str | Sequence[str] = ("images", "images/{split}", "{split}", ".")

    def gather(self, split: str) -> Records:
        path = self.find(self.annotations, split, "annotations")
        data = coco.read_json(path)
        if not isinstance(data, list) or not all(
            isinstance(t, dict) and isinstance(t.get("annotations"), list) for t in data
        ):
            raise UserError(f"{path}: holds no tasks with annotations; export from Label Studio as JSON, not JSON-MIN")
        folder = self.find(self.images, split, "images")
        records = Records(path, self._folder, self.max_pixels, self.exif != "stored")
        for number, task in enumerate(data):
            where = f"task {shown(task.get('id', number))}"
            given = [one for one in task["annotations"] if isinstance(one, dict) and not one.get("was_cancelled")]
            records.told["further annotations of an image left out"] += max(0, len(given) - 1)
            if not given and task["annotations"]:
                records.told["images whose annotations were all cancelled or skipped, left out"] += 1
                continue
            image = self.add_image(records, path, self._name(path, task, folder, where), [folder])
            if image is None:
                continue
            results = given[0].get("result") if given else []
            records.told["images without an annotation, read as images without objects"] += not results
            listed = results if isinstance(results, list) else []
            apart = _labels(listed)
            for place, result in enumerate(listed):
                self._object(records, image, _labelled(result, apart), f"{where}, result {place}")
        return records

    def _name(self, path: Path, task: dict[str, Any], folder: Path, where: str) -> str:
        data = task.get("data")
        names = [value for value in data.values() if isinstance(value, str)] if isinstance(data, dict) else []
        if len(names) > 1 and isinstance(data, dict) and isinstance(data.get("image"), str):
            names = [data["image"]]
        if len(names) != 1:
            raise UserError(f"{path}: {where}: its data are {shown(data)}; give the image under `image`")
        name = re.split(r"[/\\=]", unquote(names[0]))[-1]
        plain = UPLOAD.sub("", name)
        return plain if plain != name and not os.path.isfile(folder / name) else name

    def _object(self, records: Records, image: int, result: Any, place: str) -> None:
        kind = result.get("type") if isinstance(result, dict) else None
        if kind == LABELS:
            return
        if kind in BARE:
            records.told[f"results of the type {kind} left out, because no labels have their id"] += 1
            return
        if kind not in KINDS:
            records.told[f"results of the type {kind} left out, because they mark no area"] += 1
            return
        where, given = f"{records.path}: {place}", result.get("value")
        value: dict[str, Any] = given if isinstance(given, dict) else {}
        labels = value.get(kind)
        if not isinstance(labels, list) or len(labels) != 1 or not isinstance(labels[0], str):
            raise UserError(f"{where}: its {kind} are {shown(labels)}; give one")
        records.add(image, labels[0], place, **brush.fields(kind, value, records.size(image), where))


def _labels(results: list[Any]) -> dict[str, Any]:
    """Return the labels by the id of the region that they belong to."""
    found = [one for one in results if isinstance(one, dict) and one.get("type") == LABELS and "id" in one]
    return {str(one["id"]): one["value"].get(LABELS) for one in found if isinstance(one.get("value"), dict)}


def _labelled(result: Any, labels: Mapping[str, Any]) -> Any:
    """Return a region with labels in another result as one that holds them; others as they are."""
    if not isinstance(result, dict) or result.get("type") not in BARE or str(result.get("id")) not in labels:
        return result
    kind, value = f"{result['type']}labels", result.get("value")
    found = {**(value if isinstance(value, dict) else {}), kind: labels[str(result["id"])]}
    return {**result, "type": kind, "value": found}
