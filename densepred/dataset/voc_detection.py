"""Boxes in PASCAL VOC's XML files.

Source: http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc/devkit_doc.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from xml.etree.ElementTree import Element

from densepred.dataset import named_image, xml_file
from densepred.dataset.coco_instances import ALONE
from densepred.dataset.listed_files import ListedFiles
from densepred.dataset.records import Records
from densepred.errors import UserError, shown

CORNERS = ("xmin", "ymin", "xmax", "ymax")
DIFFICULT = "objects marked difficult, read as crowds: neither hits nor misses, as in VOC's evaluation"

RENAMED = "images found by the name of the XML file, which gives another one"
FROM_0 = (
    "boxes that begin before the first pixel, which VOC numbers 1: if the program counted from 0, type "
    "dataset.one_based=false"
)


@dataclass(eq=False)
class VocDetection(ListedFiles):
    """An image with the name of its XML file goes before another one that this names: renamed files keep that."""

    option: ClassVar[str] = "voc_detection"
    usual: ClassVar[str] = ALONE

    images: str | Sequence[str] = ("JPEGImages", "JPEGImages/{split}", "images/{split}", "images", "{split}")
    one_based: bool = True

    def gather(self, split: str) -> Records:
        listed = self.list_of(split)
        records = self.records(listed or self.named(split)[0].parent)
        folder = self.present(self.images, split)
        images = [] if folder is None else [folder]
        for path in self.described(split, records):
            found = xml_file.read(path)
            given = found.findtext("filename") or path.stem
            name = named_image.choose(records, path, given, images, other=RENAMED, own_first=True)
            image = self.add_image(records, path, name, images)
            if image is None:
                continue
            records.compare(image, found.findtext("size/height"), found.findtext("size/width"))
            objects = found.findall("object")
            records.told["images without an object in their XML file"] += not objects
            for number, element in enumerate(objects, 1):
                self._object(records, image, path, number, element)
        if folder is not None and listed is None:
            records.unread(folder, "images without an XML file, left out")
        return records

    def _object(self, records: Records, image: int, path: Path, number: int, element: Element) -> None:
        where, label = f"{path}: object {number}", (element.findtext("name") or "").strip()
        corners = [element.findtext(f"bndbox/{name}") for name in CORNERS]
        try:
            x0, y0, x1, y1 = (float(text or "") for text in corners)
        except ValueError as error:
            raise UserError(f"{where}: its bndbox is {shown(corners)}; give xmin, ymin, xmax and ymax") from error
        if not label or x1 < x0 or y1 < y0:
            raise UserError(f"{where}: has the name {shown(label)} and the bndbox {shown(corners)}; correct it")
        first = int(self.one_based)
        records.told[FROM_0] += self.one_based and min(x0, y0) < 1
        box = [x0 - first, y0 - first, x1 - x0 + first, y1 - y0 + first]
        difficult = (element.findtext("difficult") or "0").strip() == "1"
        records.told[DIFFICULT] += difficult
        records.add(image, label, records.place(path, f"object {number}"), bbox=box, iscrowd=int(difficult))
