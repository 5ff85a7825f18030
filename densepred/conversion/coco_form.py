"""COCO's JSON: run-length masks, boxes and keypoints, as `dataset=coco_instances` and `coco_keypoints` read them.

Source: https://cocodataset.org/#format-data
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pycocotools import mask as rle

from densepred import atomic
from densepred.conversion.words import HEAD, located
from densepred.dataset import run_length
from densepred.dataset.coco import Id
from densepred.errors import UserError
from densepred.ops.boxes.coco import reaches_beyond, to_coco
from densepred.ops.regions.run_lengths import compressed_masks
from densepred.results.coco import BACKGROUND, Categories, exact
from densepred.types import VOID, Annotation, Info, Sample

Json = dict[str, Any]
NAMES = {"train": "train", "valid": "val", "test": "test"}


class CocoForm:
    """Collect the samples of a dataset, and write one JSON file per split below `root`.

    Without instances, each class of a class map becomes one region per image. `left` counts what the form cannot hold.
    """

    def __init__(self, root: Path, info: Info) -> None:
        self.root, self.info, self.left = root, info, Counter[str]()
        if not info.provides:
            raise UserError("form=coco: this dataset has no annotations; type form=folder")
        if info.window is not None and not info.bands:
            raise UserError("dataset.window: no dataset of COCO's files applies one; type form=folder")
        if info.channels not in (1, 3):
            raise UserError(
                f"form=coco: the images have {info.channels} channels, and datasets of COCO's files read three; type "
                "form=folder, or choose three by dataset.channels"
            )
        self.categories = Categories.counted(info)
        self.images: dict[str, list[Json]] = {}
        self.found: dict[str, list[Json]] = {}
        self.numbers: dict[str, set[Id]] = {}
        pure = "keypoints" in info.provides and "instances" not in info.provides  # all of its classes have keypoints
        self.posed = set(range(len(info.classes))) if pure else set[int]()  # classes with a labelled keypoint

    def name(self, split: str) -> str:
        return NAMES[split]

    @property
    def note(self) -> str:
        """Sentence of the report about the ids of categories, which the classes of a dataset do not hold."""
        listed = [self.categories.ids[index] for index in range(len(self.categories.ids)) if self._listed(index)]
        return f"ids of categories: {listed[0]} to {listed[-1]}, in the order of the classes" if listed else ""

    def add(self, sample: Sample, split: str, place: str, image: Path) -> None:
        images, found = self.images.setdefault(split, []), self.found.setdefault(split, [])
        number = self._number(sample.frame.number, split)
        file = image.relative_to(self.root / "images" / NAMES[split]).as_posix()
        height, width = sample.truth.size
        images.append({"id": number, "file_name": file, "height": height, "width": width})
        truth = sample.truth
        objects = "instances" in self.info.provides or truth.rows()
        rows = self._instances(truth) if objects else self._regions(truth)
        for row in rows:
            found.append({"id": len(found) + 1, "image_id": number, **row})
        if len(sample.image) != 3:
            self.left["images without three channels: COCO datasets read three"] += 1

    def finish(self) -> None:
        """Write annotations/instances_<split>.json, and person_keypoints_<split>.json of classes with keypoints."""
        folder = self.root / "annotations"
        folder.mkdir()
        listed = [self._category(index) for index in range(len(self.categories.ids)) if self._listed(index)]
        for split, images in self.images.items():
            found, name = self.found[split], NAMES[split]
            if self._masked():
                file = {**HEAD, "images": images, "annotations": found, "categories": listed}
                atomic.write_json(folder / f"instances_{name}.json", file)
            if self.posed:
                people = [one for one in listed if "keypoints" in one]
                ids = {one["id"] for one in people}
                kept = [one for one in found if one["category_id"] in ids]
                file = {**HEAD, "images": images, "annotations": kept, "categories": people}
                atomic.write_json(folder / f"person_keypoints_{name}.json", file)

    def readers(self, root: Path) -> list[str]:
        """Return the overrides that read the result, one line per kind of annotation."""
        shared = located(root, self.info)
        kinds = (["coco_instances"] if self._masked() else []) + (["coco_keypoints"] if self.posed else [])
        return [f"dataset={kind} {shared}" for kind in kinds]

    def _masked(self) -> bool:
        rows = (one for found in self.found.values() for one in found)
        return not self.posed or any("segmentation" in one for one in rows)

    def _listed(self, index: int) -> bool:
        """Tell if a class is a category: a thing, or without things any class but the background."""
        info = self.info
        if info.things and ("instances" in info.provides or "boxes" in info.provides):
            return index in info.things
        return not info.classes or info.classes[index].lower() not in BACKGROUND

    def _category(self, index: int) -> Json:
        entry = self.categories.listed()[index]
        entry.pop("isthing")
        if index not in self.posed:
            return {key: value for key, value in entry.items() if key not in ("keypoints", "skeleton")}
        if self.info.mirrored is not None:
            flips = list(range(len(self.info.keypoints)))
            for one, other in self.info.mirrored:
                flips[one], flips[other] = other, one
            entry["flip_indices"] = flips
        return entry | ({"sigmas": list(self.info.sigmas)} if self.info.sigmas else {})

    def _number(self, number: Id | None, split: str) -> Id:
        seen = self.numbers.setdefault(split, set())
        free = len(seen) + 1 if number is None or number in seen else number
        if number is not None and free != number:
            self.left["ids of images that were given twice and changed"] += 1
        seen.add(free)
        return free

    def _instances(self, truth: Annotation) -> list[Json]:
        count, classes = truth.count, truth.class_ids(self.info).tolist()
        masks = truth.masks
        if masks is None and truth.instances is not None:
            masks = compressed_masks(truth.instances.numpy(), count)
        rows = [
            self._row(truth, index, classes[index], None if masks is None else masks[index]) for index in range(count)
        ]
        self._count(truth, classes)
        kept = [row for row in rows if row.keys() & {"bbox", "segmentation", "keypoints"}]
        self.left["instances with neither mask, box nor keypoints"] += count - len(kept)
        return kept

    def _row(self, truth: Annotation, index: int, kind: int, mask: Any) -> Json:
        crowd = truth.crowd is not None and bool(truth.crowd[index])
        row: Json = {"category_id": self.categories[kind], "iscrowd": int(crowd)}
        if truth.boxes is not None:
            box = to_coco(*truth.boxes[index].tolist())
            if min(box[2:]) > 0:
                row["bbox"] = list(box)
        if mask is not None and int(rle.area(mask)):
            row["segmentation"] = _segmentation(mask)
            row.setdefault("bbox", np.asarray(rle.toBbox(mask)).tolist())
        if truth.areas is not None:
            row["area"] = exact(float(truth.areas[index]))
        elif mask is not None:
            row["area"] = int(rle.area(mask))
        if truth.keypoints is not None and bool((truth.keypoints[index, :, 2] > 0).any()):
            points = truth.keypoints[index].tolist()
            row["keypoints"] = [
                value for x, y, seen in points for value in ((x, y, int(seen)) if seen > 0 else (0, 0, 0))
            ]
            row["num_keypoints"] = sum(seen > 0 for *_, seen in points)
            self.posed.add(kind)
        return row

    def _regions(self, truth: Annotation) -> list[Json]:
        """Return one row per class of a class map."""
        labels = truth.need("semantic").numpy()
        self.left["images with void pixels: background in the result"] += int((labels == VOID).any())
        present = [int(label) for label in np.unique(labels) if label != VOID and self._listed(int(label))]
        rows = []
        for label in present:
            mask = rle.encode(np.asfortranarray(labels == label, dtype=np.uint8))
            box = np.asarray(rle.toBbox(mask)).tolist()
            area = int(rle.area(mask))
            common = {"category_id": self.categories[label], "iscrowd": 0, "bbox": box, "area": area}
            rows.append(common | {"segmentation": _segmentation(mask)})
        self.left["classes of class maps: one region per class and image, not one per object"] += len(rows)
        return rows

    def _count(self, truth: Annotation, classes: list[int]) -> None:
        left, names = self.left, self.info.classes
        if truth.head_boxes is not None:
            left["head boxes"] += int(truth.head_boxes.isfinite().all(1).sum())
        own = sum(bool(names) and names[kind].lower() in BACKGROUND for kind in classes)
        left["instances of the background: COCO datasets leave them out"] += own
        if truth.boxes is not None:
            beyond = sum(reaches_beyond(box, truth.size) for box in truth.boxes.tolist())
            left["boxes that reach beyond their image: COCO datasets clip them"] += beyond
        if truth.semantic is None or truth.instances is None:
            return
        if truth.masks is not None and truth.crowd is not None:
            drawn = run_length.instance_map(truth.masks, truth.crowd, truth.size)
            left["images with objects on top of smaller ones: the smaller lies on top when it is read"] += int(
                not torch.equal(drawn, truth.instances)
            )
        alone = truth.semantic.numpy()[truth.instances.numpy() == 0]
        for label in np.unique(alone).tolist():
            if label == VOID:
                left["images with void pixels: background in the result"] += 1
            elif names[label].lower() not in BACKGROUND:
                left[f"images with pixels of {names[label]} in no instance"] += 1


def _segmentation(mask: Any) -> Json:
    counts = mask["counts"]
    return {"size": list(mask["size"]), "counts": counts.decode("ascii") if isinstance(counts, bytes) else counts}
