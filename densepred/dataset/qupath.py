"""QuPath's GeoJSON, a file per image: annotations, detections and cells with their classifications.

Source: https://qupath.readthedocs.io/en/stable/docs/advanced/exporting_annotations.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from densepred.dataset import geojson_file
from densepred.dataset.annotated import Annotated, files_below, some
from densepred.dataset.geojson_file import Feature
from densepred.dataset.mask_runs import outlines
from densepred.dataset.records import Records
from densepred.dataset.stems import Stems

UNNAMED = "object"
"""Class of all features if none has a classification."""


@dataclass(eq=False)
class QuPath(Annotated):
    """`a.geojson` is of the image `a`, in the folder `images` or beside it. The outline of a cell is its boundary."""

    option: ClassVar[str] = "qupath"

    annotations: str | Sequence[str] = ("{split}", "annotations/{split}", "geojson/{split}")
    images: str | Sequence[str] = ("images/{split}", "{split}/images", "{split}", "images", ".")

    def gather(self, split: str) -> Records:
        folder = self.find(self.annotations, split, "annotations")
        stems = Stems(self.find(self.images, split, "images"))
        records = self.records(folder)
        files = some(files_below(folder, ".geojson"), folder, ".geojson")
        found = {path: geojson_file.features(path, records.told) for path in files}
        named = any(one.name for features in found.values() for one in features)
        for path, features in found.items():
            file = stems.find(path.relative_to(folder).with_suffix("").as_posix(), path)
            if file is None:
                records.lost.append((path, path.stem))
                continue
            records.told["images without features, read as images without objects"] += not features
            self._objects(records, records.image(file), path, features, named)
        records.unread(stems.folder, "images without a .geojson, left out")
        return records

    def _objects(self, records: Records, image: int, path: Path, features: list[Feature], named: bool) -> None:
        """Add the features of a file. Where some have a classification (`named`), those without one are left out."""
        for one in features:
            if named and one.name is None:
                records.leave_out("features without a classification", "others have one")
                continue
            if one.name is not None and one.colour is not None:
                records.colours.setdefault(one.name, one.colour)
            outline = outlines(one.rings, records.size(image), f"{path}: {one.place}")
            records.add(image, one.name or UNNAMED, records.place(path, one.place), segmentation=outline)
