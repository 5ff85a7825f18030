"""CVAT for images 1.1 and for video 1.1: an XML file of the boxes, polygons, ellipses and masks of all images.

Source: https://docs.cvat.ai/docs/dataset_management/formats/format-cvat/
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from xml.etree.ElementTree import Element

from densepred.dataset import cvat_shape, cvat_video, paths, xml_file
from densepred.dataset.annotated import Annotated
from densepred.dataset.coco import Entry, Record
from densepred.dataset.records import Records
from densepred.errors import UserError

LARGEST = 1 << 28
"""Bytes of the file, which holds all images of a task."""


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
        found = self._files(split)
        roots = [xml_file.read(path, LARGEST) for path in found]
        records = Records(self._folder if len(found) > 1 else found[0], self._folder, self.max_pixels, self.upright)
        for path, root in zip(found, roots, strict=True):
            if root.tag != "annotations":
                raise UserError(f"{path}: is no file of CVAT; export from CVAT as CVAT for images 1.1")
            names, colours = cvat_shape.labels(root, path)
            records.listed += [name for name in names if name not in records.listed]
            records.colours = colours | records.colours
        folder = self.find(self.images, split, "images") if len(found) == 1 else self._folder
        for path, root in zip(found, roots, strict=True):
            self._add(records, root, path, split, folder, path.parent if len(found) > 1 else folder)
        if self._divided:
            records.unread(folder, "images that the file does not name, left out")
        return records

    @property
    def upright(self) -> bool:
        return self.exif != "stored"

    def _files(self, split: str) -> list[Path]:
        """Return the XML file of a split, or the files of several tasks if a star stands for their folders."""
        if not isinstance(self.annotations, str) or "*" not in self.annotations:
            return [self.find(self.annotations, split, "annotations")]
        names = [""] if self._divided else paths.split_names(self._splits, split)
        tried = [self.annotations.replace("{split}", name) for name in names]
        found = sorted(path for one in tried for path in self._folder.glob(one))
        if not found:
            text = f"holds no {' or '.join(tried)}"
            raise paths.Absent(f"{self._folder}: {text}; check dataset.annotations and dataset.splits")
        return found

    def _add(self, records: Records, root: Element, path: Path, split: str, folder: Path, own: Path) -> None:
        """Add the images of a file, which lie below `own`; frames of a video lie in `folder`."""
        for element in self._elements(root, path, split, folder, records):
            size = cvat_shape.whole(element, "height", str(path)), cvat_shape.whole(element, "width", str(path))
            places = [own / element.get("subset", ""), own, path.parent / "images"]
            image = self.add_image(records, path, element.get("name"), places, size)
            if image is not None:
                self._objects(records, image, element, path)

    def _elements(self, root: Element, path: Path, split: str, folder: Path, records: Records) -> list[Element]:
        """Return the images of a split, or the frames of a video."""
        if root.find("track") is None:
            return self._of_split(root.findall("image"), path, split, records.told)
        if self._divided and self.group is None:
            records.told["video whose frames, nearly alike, are divided at random; a file per split has none alike"] = 1
        return cvat_video.images(root, path, folder, records.told)

    def _of_split(self, images: list[Element], path: Path, split: str, told: Counter[str]) -> list[Element]:
        """Return the images of a split: all of its own file, or those of its subset."""
        patterns = [self.annotations] if isinstance(self.annotations, str) else self.annotations
        shared = [paths.below(self._folder, one, "") for one in patterns if "{split}" not in one]
        subsets = {image.get("subset", "").casefold() for image in images}
        if self._divided or path not in shared or (self.folds is not None and subsets == {""}):
            return images
        words = {one: paths.words_there(subsets, paths.split_names(self._splits, one), one) for one in self._splits}
        names = paths.split_names(self._splits, split)
        own = words[paths.split_word(split)]
        if not own:
            known = " or ".join([*names, *paths.other_words(split, names)])
            raise paths.Absent(f"{path}: no image is of the subset {known}; set dataset.splits")
        if own.isdisjoint(name.casefold() for name in names) and self.chosen(split):
            paths.tell_other(path, names, f"{split} from {' and '.join(sorted(own))}", "subsets")
        if split == self.split == "train":
            unused = sum(image.get("subset", "").casefold() not in set().union(*words.values()) for image in images)
            told["images of subsets that dataset.splits does not name, left out"] = unused
        return [image for image in images if image.get("subset", "").casefold() in own]

    def _objects(self, records: Records, image: int, element: Element, path: Path) -> None:
        groups: dict[tuple[str, str], list[Any]] = {}
        task = "" if path == records.path else f"{path.relative_to(self._folder).as_posix()}: "
        records.told["images without a shape, read as images without objects"] += not len(element)
        for number, shape in enumerate(element, 1):
            place = f"{task}{element.get('name')}, {shape.tag} {number}"
            where, label, group = f"{records.path}: {place}", shape.get("label"), shape.get("group_id", "0")
            if shape.tag not in cvat_shape.KINDS:
                records.told[f"shapes of the type {shape.tag} left out, because they mark no area"] += 1
                continue
            if not label:
                raise UserError(f"{where}: has no label; give it one")
            found = cvat_shape.fields(shape, records.size(image), where)
            if group != "0" and shape.tag == "polygon":
                if known := groups.get((group, label)):
                    known += found["segmentation"]  # the list of the object that was added first
                    continue
                groups[group, label] = found["segmentation"]
            elif group != "0":
                records.told[f"shapes of the type {shape.tag} in groups, each read as an object"] += 1
            records.add(image, label, place, layer=cvat_shape.whole(shape, "z_order", where, "0"), **found)

    def _instance(self, record: Record, entry: Entry, where: str, changed: Counter[str]) -> Record:
        return {**super()._instance(record, entry, where, changed), "layer": record["layer"]}
