"""Regions of interest of ImageJ and Fiji: `.roi` files and `.zip` files of the ROI manager, beside their images.

Source: https://imagej.net/ij/developer/source/ij/io/RoiDecoder.java.html
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from densepred.dataset import roi_file
from densepred.dataset.annotated import Annotated, files_below, some
from densepred.dataset.mask_runs import outlines
from densepred.dataset.records import Records
from densepred.dataset.stems import Stems
from densepred.nn import choose

UNNAMED = "object"
"""Class of all regions where neither their names nor their groups are classes."""
MARK = re.compile(r"^roi(?:s|set)?[ _-]+|[ _-]+roi(?:s|set)?$|^roi(?:s|set)?$", re.IGNORECASE)
"""Part of a file's name that means regions: `RoiSet_a.zip`, `a_rois.zip`."""
AUTOMATIC = re.compile(r"\d+(-\d+)+|", re.ASCII)
"""Names that ImageJ gives to regions without a name, and no name at all."""


@dataclass(eq=False)
class ImageJ(Annotated):
    """Regions of the image `a` are in `a.zip`, `a.roi`, `RoiSet_a.zip`, or in a folder `a`.

    Those of `RoiSet.zip`, and of files with names that ImageJ gives, are of the only image beside them.

    `label_by`: none (one class), name or group: what of a region is its class.
    """

    option: ClassVar[str] = "imagej"

    annotations: str | Sequence[str] = ("{split}", "rois/{split}", "annotations/{split}")
    images: str | Sequence[str] = ("images/{split}", "{split}/images", "{split}", "images", ".")
    label_by: str = "none"

    def gather(self, split: str) -> Records:
        choose("dataset.label_by", self.label_by, ("none", "name", "group"))
        folder = self.find(self.annotations, split, "annotations")
        stems = Stems(self.find(self.images, split, "images"))
        records = self.records(folder)
        numbers = dict[Path, int]()
        for path in some(files_below(folder, ".roi", ".zip"), folder, ".roi or .zip"):
            file = _image_of(path, folder, stems)
            if file is None:
                records.lost.append((path, path.stem))
                continue
            if file not in numbers:
                numbers[file] = records.image(file)
            self._objects(records, numbers[file], path)
        records.unread(stems.folder, "images without regions, left out")
        return records

    def _objects(self, records: Records, image: int, path: Path) -> None:
        for number, region in enumerate(roi_file.read(path)):
            if region.other is not None:
                records.leave_out(f"regions of the type {region.other}")
                continue
            records.told["regions of later planes of a stack, read as regions of the image"] += region.plane
            records.told[roi_file.RECTANGLES] += region.straight
            label = {"none": UNNAMED, "name": region.name, "group": f"group {region.group}"}[self.label_by]
            place = records.place(path, f"region {number} ({region.name})")
            outline = outlines(region.rings, records.size(image), f"{records.path}: {place}")
            records.add(image, label, place, segmentation=outline)


def _image_of(path: Path, folder: Path, stems: Stems) -> Path | None:
    """Return the image of a file of regions: by the name of the file, of its folder, or the only one beside it."""
    below, plain = path.relative_to(folder), MARK.sub("", path.stem)
    names = [(below.parent / name).as_posix() for name in (path.stem, plain) if name]
    names += [below.parent.as_posix()] * (below.parent != Path())
    found = next((file for name in names if (file := stems.find(name, path)) is not None), None)
    return stems.only(path.parent) if found is None and AUTOMATIC.fullmatch(plain) else found
