"""Label Studio's export as JSON: rectangles, polygons, ellipses and brush masks.

Source: https://labelstud.io/guide/export
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from densepred.dataset import brush, label_studio_file
from densepred.dataset.annotated import Annotated
from densepred.dataset.records import Records
from densepred.errors import UserError, shown

KINDS = ("rectanglelabels", "polygonlabels", "ellipselabels", "brushlabels")


@dataclass(eq=False)
class LabelStudio(Annotated):
    """The first of several annotations of an image counts. Images are found by name in the folder `images`."""

    option: ClassVar[str] = "label_studio"

    annotations: str | Sequence[str] = ("{split}.json", "annotations/{split}.json", "{split}/annotations.json")
    images: str | Sequence[str] = ("images", "images/{split}", "{split}", ".")

    def gather(self, split: str) -> Records:
        path = self.find(self.annotations, split, "annotations")
        tasks = label_studio_file.read(path)
        folder = self.find(self.images, split, "images")
        records = self.records(path)
        for number, task in enumerate(tasks):
            where = f"task {shown(task.get('id', number))}"
            given = [one for one in task["annotations"] if isinstance(one, dict) and not one.get("was_cancelled")]
            records.told["further annotations of an image left out"] += max(0, len(given) - 1)
            if not given and task["annotations"]:
                records.told["images whose annotations were all cancelled or skipped, left out"] += 1
                continue
            name = label_studio_file.image_name(task, folder, f"{path}: {where}")
            image = self.add_image(records, path, name, [folder])
            if image is None:
                continue
            results = given[0].get("result") if given else []
            records.told["images without an annotation, read as images without objects"] += not results
            for place, result in enumerate(label_studio_file.labelled(results)):
                self._object(records, image, result, f"{where}, result {place}")
        return records

    def _object(self, records: Records, image: int, result: Any, place: str) -> None:
        kind = result.get("type") if isinstance(result, dict) else None
        if kind == label_studio_file.LABELS:
            return
        if kind in label_studio_file.BARE:
            records.leave_out(f"results of the type {kind}", "no labels have their id")
            return
        if kind not in KINDS:
            records.leave_out(f"results of the type {kind}")
            return
        where, given = f"{records.path}: {place}", result.get("value")
        value: dict[str, Any] = given if isinstance(given, dict) else {}
        labels = value.get(kind)
        if not isinstance(labels, list) or len(labels) != 1 or not isinstance(labels[0], str):
            raise UserError(f"{where}: its {kind} are {shown(labels)}; give one")
        records.add(image, labels[0], place, **brush.fields(kind, value, records.size(image), where))
