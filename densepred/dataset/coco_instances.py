"""COCO's instances: polygons and run-length masks in a JSON file.

Source: https://cocodataset.org/#format-data
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from densepred.contracts import Dataset
from densepred.dataset import coco, coco_fields, coco_forms, orientation, paths, run_length
from densepred.dataset.coco import Entry, Id, Record, Skip
from densepred.dataset.division import chosen_fold
from densepred.dataset.facts import counted
from densepred.dataset.image_file import MAX_PIXELS
from densepred.dataset.image_header import describe_files, white
from densepred.dataset.reader import Reader
from densepred.errors import Notice, UserError, shown
from densepred.ops.boxes.edges import areas as box_areas
from densepred.types import MAX_CLASSES, VOID, Annotation, Frame, Info, Sample

BACKGROUND = ("background", (0, 0, 0))
OWN = ("background", "_background_", "__background__", "bg")
"""Names, in lower case, under which files list a background of their own; it is class 0 then."""
BOXES = ("categories", "boxes", "areas", "crowd")
MASKS = ("instances", "masks", "ignore")
ALONE = "boxes without a mask (void in maps, where nothing else covers them)"


class CocoInstances(Dataset):
    """Class 0 is the background; the categories follow in the order of the file, whatever their ids.

    `masks` may overlap. In the maps of instances and classes the smaller of two lies on top, and crowds lie below all.
    Pixels that only a crowd covers are `ignore`. Boxes are those of the file, moved by half a pixel: 0 is the edge of
    the image in the file, and the center of its first pixel here; beyond the image they are clipped.

    A file of boxes alone provides boxes and no masks. In a file of both, an instance without a mask has an empty one;
    the part of its box that no other instance covers is `ignore` and void. With more classes than a class map holds
    there is no `semantic`.
    """

    usual: ClassVar[str] = ""
    """A change of annotations that is not told if it holds for all."""

    def __init__(
        self,
        root: str,
        split: str = "train",
        splits: paths.Splits | None = None,
        images: paths.Patterns = ("{split}", "images/{split}"),
        annotations: paths.Patterns = "annotations/instances_{split}.json",
        limit: int | None = None,
        most_instances: int | None = None,
        exif: str = "auto",
        max_value: int | None = None,
        seed: int = 0,
        group: str | None = None,
        max_pixels: int = MAX_PIXELS,
        folds: int | None = None,
        fold: int | None = None,
    ) -> None:
        choice = coco.Choice(split, paths.known_splits(splits, coco.SPLITS), seed, group, chosen_fold(folds, fold))
        file = coco.open_file(root, images, annotations, max_pixels, choice)
        self.split = split
        self._index(file, limit, most_instances, exif, max_value, max_pixels)

    def _index(
        self,
        file: coco.CocoFile,
        limit: int | None,
        most_instances: int | None,
        exif: str,
        max_value: int | None,
        max_pixels: int,
    ) -> None:
        """Check the annotations of the file, and describe what it provides."""
        coco_forms.check(file)
        bright = white(file.images(), max_value, max_pixels)
        self._read = Reader(None, 3, max_pixels, exif, bright)
        self.path, self._place, categories = file.path, file.place, file.categories
        own = [id for id, record in categories.items() if record["name"].lower() in OWN]
        categories = {id: record for id, record in categories.items() if id not in own}
        if not categories:
            raise UserError(f"{self.path}: lists no category but the background; add the categories")
        self._classes = {id: index for index, id in enumerate(categories, 1)} | dict.fromkeys(own, 0)
        self.index = coco.Index(file, self._instance, ALONE)
        self.info = Info(
            classes=(BACKGROUND[0], *(record["name"] for record in categories.values())),
            things=tuple(range(1, len(categories) + 1)),
            palette=(BACKGROUND[1], *coco.palette(categories, self.path, 1)),
            provides=self._provided(len(categories) + 1),
            max_value=bright,
        )
        self._tell_unused(categories)
        self.index.keep(lambda found: most_instances is None or len(found) <= most_instances, limit)
        labelled = [(entry.path, entry.size) for entry in self.index.entries]
        self.info = replace(self.info, exif=orientation.measure(exif, labelled, max_pixels))

    def __len__(self) -> int:
        return len(self.index)

    def images_line(self) -> str:
        return describe_files([entry.path for entry in self.index.entries], self.info, self._read.max_pixels)

    def files(self) -> Sequence[Path]:
        return [entry.path for entry in self.index.entries]

    def __getitem__(self, index: int) -> Sample:
        entry, found = self.index[index]
        truth = self._truth(entry, found)
        image = self._read.image(entry.path, truth, f"in {self.path} it")
        return Sample(image, truth, Frame(entry.name, entry.size, number=entry.id))

    def _tell_unused(self, categories: dict[Id, Record]) -> None:
        """Issue a notice about one category without annotations: exports list a group above the classes this way."""
        unused = [record["name"] for id, record in categories.items() if self._classes[id] not in self.index.classes]
        if unused and self.index.kept:
            names = f"{', '.join(unused[:5])}{', ...' if len(unused) > 5 else ''}"
            text = f"{self.path}: categories without an annotation in {self.split}: {names}; they stay classes"
            warnings.warn(text, Notice, stacklevel=2)

    def _provided(self, classes: int) -> tuple[str, ...]:
        if self.index.changed[ALONE] and self.index.changed[ALONE] == self.index.kept:
            if self.usual != ALONE:  # the form of the files has no masks
                text = f"{counted(self.index.kept, 'boxes')} without a mask, and none with one"
                warnings.warn(f"{self._place}: {text}: only tasks of boxes can be trained", Notice, stacklevel=2)
            return BOXES
        if classes <= MAX_CLASSES:
            return ("semantic", *BOXES, *MASKS)
        text = f"{classes} classes, more than the {MAX_CLASSES} of a class map: only boxes and masks are read"
        warnings.warn(f"{self.path}: {text}", Notice, stacklevel=2)
        return (*BOXES, *MASKS)

    def _instance(self, record: Record, entry: Entry, where: str, changed: Counter[str]) -> Record:
        kind = coco_fields.category(record, self._classes, where)
        if not kind:
            raise Skip("of the background")
        crowd, area = coco_fields.crowd(record, where, changed), coco_fields.area(record, where)
        try:
            segmentation = coco_fields.segmentation(record, entry, where, changed)
            missing = "neither segmentation nor box in the image"
        except Skip as reason:
            segmentation, missing = None, str(reason)
        if record.get("segmentation") is None and record.get("bbox") is not None:
            missing = "boxes without area in the image"
        box = coco_fields.true_box(record, entry, where, changed)
        if box is None and segmentation is None:
            raise Skip(missing)
        if segmentation is None:
            changed[ALONE] += 1
        elif box is None:
            given = record.get("bbox") is not None
            if not int(run_length.area([run_length.encode(segmentation, entry.size, where)])):
                raise Skip("boxes without area" if given else "outlines that cover no pixel of the image")
            if given:
                changed["boxes without area in the image rebuilt from masks"] += 1
        area = coco_fields.likely(area, changed)
        return {"class": kind, "crowd": crowd, "box": box, "area": area, "segmentation": segmentation}

    def _truth(self, entry: Entry, found: list[Record]) -> Annotation:
        crowd = torch.tensor([record["crowd"] for record in found], dtype=torch.bool)
        categories = torch.tensor([record["class"] for record in found], dtype=torch.int64)
        masks = [self._mask(record, entry) for record in found]
        boxes = torch.tensor(
            [record["box"] or run_length.box(mask) for record, mask in zip(found, masks, strict=True)],
            dtype=torch.float32,
        ).reshape(-1, 4)
        truth = Annotation(
            entry.size, categories=categories, boxes=boxes, crowd=crowd, areas=_areas(found, masks, boxes)
        )
        if "masks" not in self.info.provides:
            return truth
        alone = torch.tensor([record["segmentation"] is None for record in found], dtype=torch.bool)
        truth.masks, layers = masks, [record.get("layer", 0) for record in found]
        truth.instances = instances = run_length.instance_map(masks, crowd, entry.size, layers)
        unknown = run_length.inside(boxes[alone], entry.size) & (instances == 0)
        group = torch.cat((torch.zeros(1, dtype=torch.bool), crowd))
        truth.ignore = group[instances.long()] | unknown
        if "semantic" in self.info.provides:
            classes = torch.cat((torch.zeros(1, dtype=torch.int64), categories)).to(torch.uint8)
            truth.semantic = classes[instances.long()].masked_fill(unknown, VOID)
        return truth

    def _mask(self, record: Record, entry: Entry) -> run_length.Runs:
        """Return the mask of an annotation; an empty one if it has a box alone."""
        where = f"{self.path}: annotation {shown(record['id'])}"
        empty = {"counts": [entry.size[0] * entry.size[1]]}
        return run_length.encode(record["segmentation"] or empty, entry.size, where)


def _areas(found: list[Record], masks: list[run_length.Runs], boxes: Tensor) -> Tensor:
    """Return the areas of the file; where it has none those of the masks, or of boxes without a mask."""
    pixels, sides = run_length.area(masks).tolist(), box_areas(boxes).tolist()
    return torch.tensor(
        [
            (sides[i] if record["segmentation"] is None else pixels[i]) if record["area"] is None else record["area"]
            for i, record in enumerate(found)
        ],
        dtype=torch.float64,
    )
