"""QuPath's GeoJSON, a file per image: annotations, detections and cells with their classifications.

Source: https://qupath.readthedocs.io/en/stable/docs/advanced/exporting_annotations.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from densepred.dataset import geojson_file, paths
from densepred.dataset.annotated import Annotated, files_below
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
        records = Records(folder, self._folder, self.max_pixels, self.exif != "stored")
        found = {path: geojson_file.features(path, records.told) for path in files_below(folder, ".geojson")}
        if not found:
            raise paths.Absent(f"{folder}: holds no .geojson; check dataset.annotations and dataset.splits")
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
                records.told["features without a classification left out, because others have one"] += 1
                continue
            if one.name is not None and one.colour is not None:
                records.colours.setdefault(one.name, one.colour)
            outline = outlines(one.rings, records.size(image), f"{path}: {one.place}")
            place = f"{path.relative_to(self._folder).as_posix()}, {one.place}"
            records.add(image, one.name or UNNAMED, place, segmentation=outline)
