"""YOLO's text files: boxes and polygons as fractions of the image, with the classes in data.yaml or obj.names.

Source: https://docs.ultralytics.com/datasets/segment/
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from densepred.dataset import paths, yolo_file
from densepred.dataset.annotated import Annotated
from densepred.dataset.coco_instances import ALONE
from densepred.dataset.records import Records
from densepred.errors import UserError, shown

KEYPOINTS = (
    "objects read as polygons, though all may be boxes with keypoints in them, which are to be exported as COCO for "
    "dataset=coco_keypoints"
)


@dataclass(eq=False)
class Yolo(Annotated):
    """`data` is the file that lists the classes and where the images of each split are; the first that exists.

    The labels of `images/a.jpg` are in `labels/a.txt`. An image without such a file, or with an empty one, has no
    objects.
    """

    option: ClassVar[str] = "yolo"
    usual: ClassVar[str] = ALONE

    data: str | Sequence[str] = yolo_file.USUAL

    def known_classes(self) -> list[str] | None:
        return self._described().names

    def gather(self, split: str) -> Records:
        described = self._described()
        files = described.images(None if self._divided else paths.split_names(self._splits, split))
        if self.split == split == "train" and not self._divided:
            used = (described.named(paths.split_names(self._splits, one))[:1] for one in self._splits)
            described.tell_unused(name for names in used for name in names)
        records = self.records(described.path)
        labels = [yolo_file.label_file(file, self._folder) for file in files]
        missing = sum(not label.is_file() for label in labels)
        if missing == len(files):
            turned = next(self._folder.rglob("labelTxt"), None)
            remedy = "check the folder `labels`" if turned is None else f"{turned} holds turned boxes; export polygons"
            fact = f"none of the {missing} images of {split} has a label file, such as {labels[0]}"
            raise UserError(f"{described.path}: {fact}; {remedy}")
        records.told["images without a label file, read as images without objects"] = missing
        records.lost += [(label, label.stem) for label in yolo_file.alone(files, labels)]
        kinds = Counter[tuple[int, bool]]()
        for file, label in zip(files, labels, strict=True):
            kinds += self._objects(records, records.image(file), label, described.names)
        if len(kinds) == 1 and (only := next(iter(kinds)))[1]:
            records.told[KEYPOINTS] = kinds[only]
        return records

    def _described(self) -> yolo_file.Described:
        return yolo_file.read(paths.find(self.root, self.data, [""], "data")[0], self._folder)

    def _objects(self, records: Records, image: int, path: Path, names: list[str]) -> Counter[tuple[int, bool]]:
        """Add the objects of an image. Return how many have each number of coordinates, and may be keypoints."""
        kinds = Counter[tuple[int, bool]]()
        for number, (kind, values) in yolo_file.rows(path):
            if kind >= len(names):
                raise UserError(f"{path}: line {number}: {shown(kind)} is none of the {len(names)} classes; correct it")
            found = yolo_file.fields(values, records.size(image))
            records.add(image, names[kind], records.place(path, f"line {number}"), **found)
            kinds[len(values), "bbox" not in found and yolo_file.like_keypoints(values)] += 1
        return kinds
