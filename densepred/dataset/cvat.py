"""CVAT for images 1.1 and for video 1.1: an XML file of the boxes, polygons, ellipses and masks of all images.

Source: https://docs.cvat.ai/docs/dataset_management/formats/format-cvat/
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from xml.etree.ElementTree import Element

from densepred.dataset import cvat_object, cvat_shape, cvat_video, xml_file
from densepred.dataset.annotated import Annotated
from densepred.dataset.coco import Entry, Record
from densepred.dataset.cvat_subset import Subsets
from densepred.dataset.records import Records

LARGEST = 1 << 28
"""Bytes of the file, which holds all images of a task."""
ALIKE = "video whose frames, nearly alike, are divided at random; a file per split has none alike"


@dataclass(eq=False)
class Cvat(Annotated):
    """Polygons of one group and one label are one object. A shape of a higher `z_order` lies on top.

    The subsets of a project are the splits, unless there is a file per split, or fractions divide the images. A star in
    `annotations` stands for the folders of several tasks or jobs, each with its images.
    """

    option: ClassVar[str] = "cvat"

    annotations: str | Sequence[str] = ("annotations.xml", "{split}/annotations.xml", "annotations/{split}.xml")
    images: str | Sequence[str] = ("images", "images/{split}", "{split}/images", "{split}", ".")

    def gather(self, split: str) -> Records:
        found = self.find_all(self.annotations, split, "annotations")
        roots = [xml_file.read(path, LARGEST) for path in found]
        records = self.records(self._folder if len(found) > 1 else found[0])
        for path, root in zip(found, roots, strict=True):
            records.list_classes(*cvat_shape.labels(root, path))
        folder = self.find(self.images, split, "images") if len(found) == 1 else self._folder
        for path, root in zip(found, roots, strict=True):
            self._add(records, root, path, folder if len(found) == 1 else path.parent, split)
        if self._divided:
            records.unread(folder, "images that the file does not name, left out")
        return records

    def _add(self, records: Records, root: Element, path: Path, folder: Path, split: str) -> None:
        """Add the images of a file: those of a split, or the frames of a video. They lie below `folder`."""
        if root.find("track") is None:
            elements = self._of_split(root.findall("image"), path, split, records.told)
        else:
            records.told[ALIKE] += self._divided and self.group is None
            elements = cvat_video.images(root, path, folder, records.told)
        for element in elements:
            size = cvat_shape.whole(element, "height", str(path)), cvat_shape.whole(element, "width", str(path))
            places = [folder / element.get("subset", ""), folder, path.parent / "images"]
            image = self.add_image(records, path, element.get("name"), places, size)
            if image is not None:
                cvat_object.add(records, image, element, path)

    def _of_split(self, images: list[Element], path: Path, split: str, told: Counter[str]) -> list[Element]:
        """Return the images of a split: all of its own file, or those of its subset."""
        subsets = Subsets(path, images, self._splits)
        if self._divided or not self.of_all_splits(path, self.annotations) or (self.folds is not None and subsets.none):
            return images
        found = subsets.of(split)
        if self.chosen(split):
            subsets.tell_other(split)
        if split == self.split == "train":
            told["images of subsets that dataset.splits does not name, left out"] = subsets.unused()
        return found

    def _instance(self, record: Record, entry: Entry, where: str, changed: Counter[str]) -> Record:
        return {**super()._instance(record, entry, where, changed), "layer": record["layer"]}
