"""COCO's instances: polygons and run-length masks in a JSON file.

Source: https://cocodataset.org/#format-data
"""

from __future__ import annotations

import torch

from densepred.contracts import Dataset
from densepred.dataset import coco, coco_fields, paths, run_length
from densepred.dataset.coco import Entry, Record
from densepred.dataset.image_file import MAX_PIXELS
from densepred.dataset.reader import Reader
from densepred.errors import UserError, shown
from densepred.types import Annotation, Frame, Info, Sample

BACKGROUND = ("background", (0, 0, 0))


class CocoInstances(Dataset):
    """Class 0 is the background; the categories follow in the order of the file, whatever their ids.

    `masks` may overlap. In the maps of instances and classes the smaller of two lies on top, and crowds lie below all.
    Pixels that only a crowd covers are `ignore`. Boxes are those of the file, moved by half a pixel: 0 is the edge of
    the image in the file, and the center of its first pixel here.
    """

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
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        self._read = Reader(None, 3, max_pixels, exif)
        file = coco.open_file(root, splits, split, images, annotations, max_pixels)
        self.path, categories = file.path, file.categories
        self._classes = {id: index for index, id in enumerate(categories, 1)}
        self.info = Info(
            classes=(BACKGROUND[0], *(record["name"] for record in categories.values())),
            things=tuple(self._classes.values()),
            palette=(BACKGROUND[1], *coco.palette(categories, self.path, 1)),
            provides=("semantic", "instances", "categories", "boxes", "areas", "crowd", "masks", "ignore"),
        )
        self.index = coco.Index(file, self._instance)
        self.index.keep(lambda found: most_instances is None or len(found) <= most_instances, limit)

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, index: int) -> Sample:
        entry, found = self.index[index]
        image = self._read.image(entry.path, entry.size, f"in {self.path} it")
        return Sample(image, self._truth(entry, found), Frame(entry.name, entry.size))

    def _instance(self, record: Record, entry: Entry, where: str) -> Record:
        kind = coco_fields.category(record, self._classes, where)
        segmentation = coco_fields.segmentation(record, entry, where)
        if segmentation is None:
            raise UserError(f"{where}: has no segmentation; add polygons or a run-length mask")
        return {
            "class": kind,
            "crowd": coco_fields.crowd(record, where),
            "box": coco_fields.box(record, where),
            "area": coco_fields.area(record, where),
            "segmentation": segmentation,
        }

    def _truth(self, entry: Entry, found: list[Record]) -> Annotation:
        masks = [
            run_length.encode(record["segmentation"], entry.size, f"{self.path}: annotation {shown(record['id'])}")
            for record in found
        ]
        crowd = torch.tensor([record["crowd"] for record in found], dtype=torch.bool)
        categories = torch.tensor([record["class"] for record in found], dtype=torch.int64)
        instances = run_length.instance_map(masks, crowd, entry.size)
        boxes = [record["box"] or run_length.box(mask) for record, mask in zip(found, masks, strict=True)]
        pixels = run_length.area(masks).tolist()
        areas = [pixels[i] if record["area"] is None else record["area"] for i, record in enumerate(found)]
        classes = torch.cat((torch.zeros(1, dtype=torch.int64), categories)).to(torch.uint8)
        group = torch.cat((torch.zeros(1, dtype=torch.bool), crowd))
        return Annotation(
            entry.size,
            semantic=classes[instances.long()],
            instances=instances,
            categories=categories,
            boxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
            areas=torch.tensor(areas, dtype=torch.float32),
            crowd=crowd,
            masks=masks,
            ignore=group[instances.long()],
        )
