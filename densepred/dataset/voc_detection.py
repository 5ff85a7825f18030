"""Boxes in PASCAL VOC's XML files.

Source: http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc/devkit_doc.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import ClassVar
from xml.etree.ElementTree import Element

from densepred.dataset import official, paths, xml_file
from densepred.dataset.annotated import BY_OWN_NAME, Annotated, files_below, found_beside, own_image
from densepred.dataset.coco_instances import ALONE
from densepred.dataset.file_names import normal
from densepred.dataset.records import Records
from densepred.errors import Misfit, UserError, shown

CORNERS = ("xmin", "ymin", "xmax", "ymax")
DIFFICULT = "objects marked difficult, read as crowds: neither hits nor misses, as in VOC's evaluation"

RENAMED = "images found by the name of the XML file, which gives another one"


FROM_0 = (
    "boxes that begin before the first pixel, which VOC numbers 1: if the program counted from 0, type "
    "dataset.one_based=false"
)


@dataclass(eq=False)
class VocDetection(Annotated):
    """`lists` names the files of a split; where there is no such list, the folder `annotations` holds them."""

    option: ClassVar[str] = "voc_detection"
    usual: ClassVar[str] = ALONE

    annotations: str | Sequence[str] = ("Annotations", "Annotations/{split}", "{split}", "annotations/{split}")
    images: str | Sequence[str] = ("JPEGImages", "JPEGImages/{split}", "images/{split}", "images", "{split}")
    lists: str = "ImageSets/Main/{split}.txt"
    one_based: bool = True

    def gather(self, split: str) -> Records:
        place = self._list(split) or self._files(split)[0].parent
        records = Records(place, self._folder, self.max_pixels, self.exif != "stored")
        folder = self.present(self.images, split)
        images = [] if folder is None else [folder]
        for path in self._described(split, records):
            found = xml_file.read(path)
            name = self._image(records, path, found.findtext("filename"), images)
            image = self.add_image(records, path, name, images)
            if image is None:
                continue
            records.compare(image, found.findtext("size/height"), found.findtext("size/width"))
            objects = found.findall("object")
            records.told["images without an object in their XML file"] += not objects
            for number, element in enumerate(objects, 1):
                self._object(records, image, path, number, element)
        if folder is not None and self._list(split) is None:
            records.unread(folder, "images without an XML file, left out")
        return records

    def _image(self, records: Records, path: Path, given: str | None, folders: Sequence[Path]) -> str:
        """Return the image with the file's own name, as in VOC, before the given one: renamed images keep that."""
        named = PurePosixPath(normal(given or ""))
        if named.stem == path.stem and found_beside(path, given, self._folder, folders) is not None:
            return str(given)
        name = own_image(path, named.suffix, self._folder, folders)
        if name is None:
            return given or path.stem
        records.told[BY_OWN_NAME if named.stem in ("", path.stem) else RENAMED] += 1
        return name

    def _list(self, split: str) -> Path | None:
        """Return the list of a split; None if there is none, or if fractions divide the files."""
        return None if self._divided else self.present(self.lists, split)

    def _files(self, split: str) -> list[Path]:
        listed = self._list(split)
        patterns = [self.annotations] if isinstance(self.annotations, str) else list(self.annotations)
        if listed is None and not self._divided:
            patterns = [pattern for pattern in patterns if "{split}" in pattern] or patterns
            self._check_lists(split, patterns)
        folder = self.find(patterns, split, "annotations")
        if listed is None:
            found = files_below(folder, ".xml")
        else:
            lines = official.lines(listed)
            found = [
                paths.inside(folder, f"{line.split()[0]}.xml", f"{listed}: line {number}") for number, line in lines
            ]
        if not found:
            raise paths.Absent(f"{listed or folder}: holds no XML file; check dataset.annotations and dataset.splits")
        return found

    def _check_lists(self, split: str, patterns: Sequence[str]) -> None:
        """Raise Unlisted, with the lists that are there, if neither the list nor a folder of the split is."""
        path = paths.below(self._folder, self.lists, paths.split_names(self._splits, split)[0])
        if path.parent.is_dir() and any(path.parent.glob("*.txt")) and self.present(patterns, split) is None:
            raise official.missing_list(path, paths.split_word(split))

    def _described(self, split: str, records: Records) -> list[Path]:
        """Return the XML files of a split. Those that a list names and that are not there are images without labels.

        Raises Misfit for them, or counts them in `records` if `unpaired` is skip.
        """
        files = self._files(split)
        missing = [path for path in files if not path.is_file()]
        if missing and (self.unpaired != "skip" or len(missing) == len(files)):
            fact = f"{len(missing)} of the {len(files)} files that it names are missing, such as {missing[0]}"
            remedy = "add them (without an object where there is none), or leave them out by dataset.unpaired=skip"
            names = [path.stem for path in missing]
            raise Misfit(f"{self._list(split)}: {fact}; {remedy}", "unpaired", names=names)
        records.told["images of the list have no XML file, and are left out (dataset.unpaired=skip)"] = len(missing)
        return [path for path in files if path.is_file()]

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
        place = f"{path.relative_to(self._folder).as_posix()}, object {number}"
        records.add(image, label, place, bbox=box, iscrowd=int(difficult))
