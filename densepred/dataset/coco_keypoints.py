"""Keypoints in COCO's JSON format, of people, animals or other objects.

Source: https://cocodataset.org/#format-data
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from densepred.contracts import Dataset
from densepred.dataset import coco, coco_fields, coco_forms, keypoint_box, orientation, paths, run_length, skeleton
from densepred.dataset.coco import Entry, Record, Skip
from densepred.dataset.coco_fields import Outline
from densepred.dataset.division import chosen_fold
from densepred.dataset.image_file import MAX_PIXELS
from densepred.dataset.image_header import describe_files, white
from densepred.dataset.reader import Reader
from densepred.errors import UserError, shown
from densepred.ops.boxes.coco import clipped
from densepred.types import Annotation, Frame, Info, Sample


class CocoKeypoints(Dataset):
    """All instances of the categories with keypoints, including crowds and instances without a labelled keypoint.

    Keypoints count from the center of the first pixel, in the file as here, and are not changed. Boxes count from its
    edge in the file and are moved by half a pixel. Unlabelled keypoints are 0, 0, 0. `ignore` covers the masks (else
    the boxes) of crowds and of instances without labelled keypoints, except where a labelled instance is. `masks` are
    given if an instance of an image has a segmentation; the others have an empty one.
    """

    def __init__(
        self,
        root: str,
        split: str = "train",
        splits: paths.Splits | None = None,
        images: paths.Patterns = ("{split}", "images/{split}"),
        annotations: paths.Patterns = (
            "annotations/person_keypoints_{split}.json",
            "annotations/keypoints_{split}.json",
        ),
        category: str | None = None,
        min_keypoints: int = 1,
        min_instances: int = 0,
        limit: int | None = None,
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
        self._index(file, category, min_keypoints, min_instances, limit, exif, max_value, max_pixels)

    def _index(
        self,
        file: coco.CocoFile,
        category: str | None,
        min_keypoints: int,
        min_instances: int,
        limit: int | None,
        exif: str,
        max_value: int | None,
        max_pixels: int,
    ) -> None:
        """Check the annotations of the file, and describe what it provides."""
        if min_keypoints < 1:
            raise UserError(f"dataset.min_keypoints: {min_keypoints}; give 1 or more")
        coco_forms.check(file)
        bright = white(file.images(), max_value, max_pixels)
        self._read = Reader(None, 3, max_pixels, exif, bright)
        self.path, categories = file.path, file.categories
        chosen = skeleton.choose(categories, category, self.path)
        self._classes = {id: list(chosen).index(id) if id in chosen else None for id in categories}
        first = next(iter(chosen.values()))
        self.info = Info(
            classes=tuple(record["name"] for record in chosen.values()),
            things=tuple(range(len(chosen))),
            palette=coco.palette(chosen, self.path, 1),
            keypoints=(points := skeleton.keypoints(first, self.path)),
            limbs=skeleton.limbs(first, len(points), self.path),
            mirrored=skeleton.mirrored(first, points, self.path),
            sigmas=skeleton.sigmas(first, points, self.path),
            provides=("keypoints", "categories", "boxes", "areas", "crowd", "ignore"),
            max_value=bright,
        )
        self._least = min_keypoints
        self.index = coco.Index(file, self._instance)
        self.index.keep(lambda found: sum(map(_labelled, found)) >= min_instances, limit)
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

    def labelled(self, index: int) -> list[int]:
        """Return the numbers of the labelled instances, from the file alone; boxes without area are not kept."""
        return [number for number, record in enumerate(self.index[index][1]) if _labelled(record)]

    def identity(self, index: int) -> tuple[int | str | None, str]:
        entry = self.index.entries[index]
        return entry.id, entry.name

    def _instance(self, record: Record, entry: Entry, where: str, changed: Counter[str]) -> Record | None:
        kind = coco_fields.category(record, self._classes, where)
        if kind is None:
            changed["annotations of categories without keypoints, left out"] += 1
            return None
        points = coco_fields.keypoints(record, len(self.info.keypoints), where)
        if others := coco_fields.other_keypoints(record, len(self.info.keypoints)):
            changed[f"instances whose {', '.join(others)} are not read, only their keypoints"] += 1
        try:
            segmentation = coco_fields.segmentation(record, entry, where, changed)
        except Skip:  # many files with keypoints give an empty list
            segmentation = None
        box, area = coco_fields.true_box(record, entry, where, changed), coco_fields.area(record, where)
        if box is None:
            box = _rebuilt(points, segmentation, entry, where)
            if record.get("bbox") is not None:
                changed["boxes without area in the image rebuilt from keypoints or masks"] += 1
        area = coco_fields.likely(area, changed)
        count = sum(1 for point in points if point[2] > 0)
        return {
            "class": kind,
            "crowd": coco_fields.crowd(record, where, changed),
            "box": box,
            "area": (box[2] - box[0]) * (box[3] - box[1]) if area is None else area,
            "segmentation": segmentation,
            "keypoints": points if count >= self._least else [],
        }

    def _truth(self, entry: Entry, found: list[Record]) -> Annotation:
        count = len(self.info.keypoints)
        keypoints = torch.zeros(len(found), count, 3)
        for index, record in enumerate(found):
            if record["keypoints"]:
                keypoints[index] = torch.tensor(record["keypoints"])
        masks = [None if record["segmentation"] is None else self._mask(record, entry) for record in found]
        empty = run_length.encode({"counts": [entry.size[0] * entry.size[1]]}, entry.size, str(self.path))
        whole = [empty if mask is None else mask for mask in masks]
        boxes = torch.tensor([record["box"] for record in found], dtype=torch.float32).reshape(-1, 4)
        return Annotation(
            entry.size,
            keypoints=keypoints,
            categories=torch.tensor([record["class"] for record in found], dtype=torch.int64),
            boxes=boxes,
            areas=torch.tensor([record["area"] for record in found], dtype=torch.float64),
            crowd=torch.tensor([record["crowd"] for record in found], dtype=torch.bool),
            masks=None if masks and not any(masks) else whole,
            ignore=_unlabelled(entry.size, [_labelled(record) for record in found], masks, boxes),
        )

    def _mask(self, record: Record, entry: Entry) -> run_length.Runs:
        where = f"{self.path}: annotation {shown(record['id'])}"
        return run_length.encode(record["segmentation"], entry.size, where)


def _labelled(record: Record) -> bool:
    return bool(record["keypoints"]) and not record["crowd"]


def _rebuilt(points: list[list[float]], segmentation: Outline, entry: Entry, where: str) -> list[float]:
    """Return the box around the keypoints, else around the mask, within the image. Raises Skip without either."""
    box = keypoint_box.around(points)
    if box is None and segmentation is not None:
        box = run_length.box(run_length.encode(segmentation, entry.size, where))
    box = None if box is None else clipped(box, entry.size)
    if box is None:
        raise Skip("instances with neither box nor keypoints in the image")
    return box


def _unlabelled(
    size: tuple[int, int], labelled: list[bool], masks: list[run_length.Runs | None], boxes: Tensor
) -> Tensor:
    """Return the pixels that only unlabelled instances cover, (H, W) bool."""
    bare = torch.tensor([mask is None for mask in masks], dtype=torch.bool)
    known = torch.tensor(labelled, dtype=torch.bool)
    out = [run_length.inside(boxes[bare & ~known], size), run_length.inside(boxes[bare & known], size)]
    for which in (False, True):
        given = [mask for mask, here in zip(masks, labelled, strict=True) if mask is not None and here == which]
        out[which] |= run_length.union(given, size)
    return out[0] & ~out[1]
