"""COCO's panoptic format: a JSON file beside a folder of PNG files.

Source: https://cocodataset.org/#format-data
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from densepred.contracts import Dataset
from densepred.dataset import coco, coco_fields, orientation, paths
from densepred.dataset.coco import Entry, Record
from densepred.dataset.division import chosen_fold
from densepred.dataset.image_file import MAX_PIXELS
from densepred.dataset.image_header import describe_files, white
from densepred.dataset.mask import read_mask
from densepred.dataset.reader import Reader
from densepred.errors import UserError, shown
from densepred.ops.boxes import from_ids
from densepred.types import VOID, Annotation, Frame, Info, Sample

_IDS = 1 << 24


class CocoPanoptic(Dataset):
    """A pixel of a PNG holds the id of its segment as red + 256 green + 65536 blue; 0 is void.

    Segments of things are instances, and `crowd` if they are groups; the class map holds things and stuff. Boxes and
    areas are measured in the PNG, not read from the JSON, so that they fit the map of instances.
    """

    def __init__(
        self,
        root: str,
        split: str = "train",
        splits: paths.Splits | None = None,
        images: paths.Patterns = ("{split}", "images/{split}"),
        annotations: paths.Patterns = "annotations/panoptic_{split}.json",
        panoptic: paths.Patterns = ("annotations/panoptic_{split}", "panoptic/{split}"),
        limit: int | None = None,
        most_segments: int | None = None,
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
        bright = white(file.images(), max_value, max_pixels)
        self._read = Reader(None, 3, max_pixels, exif, bright)
        self._max_pixels = max_pixels
        self.path, categories = file.path, file.categories
        self.folder, _ = paths.find(root, panoptic, [file.split_name], "panoptic")
        self._classes = {id: index for index, id in enumerate(categories)}
        self.info = Info(
            classes=tuple(record["name"] for record in categories.values()),
            things=tuple(i for i, record in enumerate(categories.values()) if _thing(record, self.path)),
            palette=coco.palette(categories, self.path),
            provides=("semantic", "instances", "categories", "boxes", "areas", "crowd", "ignore"),
            max_value=bright,
        )
        # In the official files, annotations have no ids: there is one per image
        for record in file.data["annotations"]:
            record.setdefault("id", record.get("image_id"))
        self.index = coco.Index(file, self._segments)
        self.index.keep(lambda found: self._wanted(found, most_segments), limit)
        labelled = [(entry.path, entry.size) for entry in self.index.entries]
        self.info = replace(self.info, exif=orientation.measure(exif, labelled, max_pixels))

    def __len__(self) -> int:
        return len(self.index)

    def images_line(self) -> str:
        return describe_files([entry.path for entry in self.index.entries], self.info, self._max_pixels)

    def files(self) -> Sequence[Path]:
        return [entry.path for entry in self.index.entries]

    def __getitem__(self, index: int) -> Sample:
        entry, found = self.index[index]
        if len(found) != 1:
            raise UserError(f"{self.path}: image {shown(entry.id)}: has {len(found)} annotations; give it one")
        truth = self._truth(entry, found[0])
        image = self._read.image(entry.path, truth, f"in {self.path} it")
        return Sample(image, truth, Frame(entry.name, entry.size, number=entry.id))

    def _wanted(self, found: list[Record], most: int | None) -> bool:
        return most is None or sum(len(record["ids"]) for record in found) <= most

    def _segments(self, record: Record, entry: Entry, where: str, changed: Counter[str]) -> Record:
        """Return the PNG file, and the ids, classes and crowd flags of its segments."""
        segments = record.get("segments_info")
        if not isinstance(segments, list) or not all(isinstance(segment, dict) for segment in segments):
            raise UserError(f"{where}: its segments_info is {shown(segments)}; give a list of mappings")
        ids: list[int] = []
        for segment in segments:
            id = segment.get("id")
            if not isinstance(id, int) or not 0 < id < _IDS:
                raise UserError(f"{where}: a segment has the id {shown(id)}; give one from 1 to {_IDS - 1}")
            ids.append(id)
        if len(set(ids)) < len(ids):
            twice = next(id for id in ids if ids.count(id) > 1)
            raise UserError(f"{where}: the segment {twice} is listed twice; give each an id of its own")
        here = [f"{where}: segment {id}" for id in ids]
        return {
            "file": str(paths.inside(self.folder, record.get("file_name"), where)),
            "ids": ids,
            "classes": [
                coco_fields.category(segment, self._classes, at) for segment, at in zip(segments, here, strict=True)
            ],
            "crowd": [coco_fields.crowd(segment, at) for segment, at in zip(segments, here, strict=True)],
        }

    def _truth(self, entry: Entry, record: Record) -> Annotation:
        file = Path(record["file"])
        colours = read_mask(file, self._max_pixels)
        if colours.shape != (*entry.size, 3):
            raise UserError(
                f"{file}: has shape {colours.shape}, but its image in {self.path} has {(*entry.size, 3)}; "
                "save an RGB PNG of the image's size"
            )
        segments = colours.astype(np.int32) @ np.array([1, 256, 65536], np.int32)

        # Number the segments in the order of their ids, void first, to look them up
        ids = np.array([0, *record["ids"]], np.int32)
        order = np.argsort(ids)
        place_of = np.searchsorted(ids[order], segments).clip(max=len(ids) - 1)
        unknown = ids[order][place_of] != segments
        if unknown.any():
            raise UserError(
                f"{file}: the segment {segments[unknown][0]} ({int(unknown.sum())} pixels) is not in the segments_info "
                f"of {self.path}; add it there or paint it black (void)"
            )
        classes = np.array([VOID, *record["classes"]], np.uint8)
        semantic = torch.from_numpy(classes[order][place_of])

        # Instances are the things that have pixels, in the order of the file
        present = np.zeros(len(ids), bool)
        present[order] = np.bincount(place_of.reshape(-1), minlength=len(ids)) > 0
        things = [i for i, kind in enumerate(record["classes"], 1) if kind in self.info.things and present[i]]
        numbers = np.zeros(len(ids), np.int32)
        numbers[things] = np.arange(1, len(things) + 1)
        instances = torch.from_numpy(numbers[order][place_of])
        return Annotation(
            entry.size,
            semantic=semantic,
            instances=instances,
            categories=torch.tensor([record["classes"][i - 1] for i in things], dtype=torch.int64),
            boxes=from_ids.boxes(instances, len(things)),
            areas=from_ids.areas(instances, len(things)),
            crowd=torch.tensor([record["crowd"][i - 1] for i in things], dtype=torch.bool),
            ignore=semantic == VOID,
        )


def _thing(record: Record, path: Path) -> bool:
    value = record.get("isthing")
    if value not in (0, 1):
        raise UserError(
            f"{path}: category {shown(record['id'])}: its isthing is {shown(value)}; give 1 for classes "
            "that come in instances and 0 for the others"
        )
    return bool(value)
