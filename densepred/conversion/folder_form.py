"""Images, class masks and maps of instance ids in folders, as `dataset=folder` and `dataset=instance_folder` read them.

A class mask holds class ids, and 255 where the class is unknown. The class of an id in a map is id // divisor, and
an id that the divisor divides is a stuff class, or a crowd.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from densepred import atomic
from densepred.cli.call import quoted
from densepred.conversion.words import located, shell
from densepred.dataset import class_file
from densepred.errors import UserError, shown
from densepred.ops.boxes import from_ids
from densepred.types import VOID, Annotation, Info, Sample

NAMES = {"train": "train", "valid": "val", "test": "test"}
LARGEST = 65535  # of 16 bits
DIVISORS = (10000, 1000)  # the class and the number of an instance share 16 bits
WIDE = 100000  # for many classes: maps of 32 bits


class FolderForm:
    """Write the samples of a dataset below `root`; `left` counts what the form cannot hold.

    Raises UserError if the dataset has neither class masks nor maps of instances.
    """

    def __init__(self, root: Path, info: Info) -> None:
        self.root, self.info, self.left = root, info, Counter[str]()
        self.masks = "semantic" in info.provides
        self.maps = "instances" in info.provides and len(info.classes) > 1
        if not self.masks and not self.maps and info.provides:
            kinds = ", ".join(info.provides)
            raise UserError(f"form=folder: holds masks, not {kinds} without masks; type form=coco")
        number = len(info.classes) + 1  # one more than the classes: void
        self.divisor = next((one for one in DIVISORS if number * one + 1 <= LARGEST), WIDE)

    note = ""

    def name(self, split: str) -> str:
        return NAMES[split]

    def add(self, sample: Sample, split: str, place: str, image: Path) -> None:
        truth = sample.truth
        if self.masks and truth.semantic is not None:
            _save(truth.semantic.numpy().astype(np.uint8), self.root / "masks" / NAMES[split] / place)
        if self.maps and truth.instances is not None:
            _save(self._ids(truth), self.root / "instances" / NAMES[split] / place)
        self._count(truth)

    def finish(self) -> None:
        """Write classes.json."""
        if not self.masks:
            return
        classes: list[dict[str, Any]] = [{"id": index, "name": name} for index, name in enumerate(self.info.classes)]
        for entry, colour in zip(classes, self.info.palette, strict=False):
            entry["color"] = list(colour)
        atomic.write_bytes(self.root / "classes.json", class_file.text(classes, VOID))

    def readers(self, root: Path) -> list[str]:
        """Return the overrides that read the result, one line per kind of annotation."""
        shared = located(root, self.info)
        if not self.info.provides:
            return [f"dataset=folder {shared} dataset.masks=null"]
        lines = [f"dataset=folder {shared}"] if self.masks else []
        return lines + ([f"dataset=instance_folder {shared} {self._rules()}"] if self.maps else [])

    def _rules(self) -> str:
        info = self.info
        palette = f" dataset.palette={[list(colour) for colour in info.palette]}".replace(", ", ",")
        return (
            f"{shell(f'dataset.classes={quoted(info.classes)}')} dataset.things={list(info.things)} ".replace(", ", ",")
            + f"dataset.divisor={self.divisor} dataset.ignore_index={self.void}"
            + (palette if info.palette else "")
        )

    @property
    def void(self) -> int:
        return len(self.info.classes) * self.divisor + 1

    def _ids(self, truth: Annotation) -> np.ndarray:
        """Return the map of ids (H, W): void, else class x divisor, plus the number of the instance in its class."""
        count, classes = truth.count, truth.class_ids(self.info).numpy()
        crowd = np.zeros(count, bool) if truth.crowd is None else truth.crowd.numpy()
        table, used = np.zeros(count + 1, np.int64), Counter[int]()
        for row in range(count):
            kind = int(classes[row])
            used[kind] += not crowd[row]
            table[row + 1] = kind * self.divisor + (0 if crowd[row] else used[kind])
        if used and max(used.values()) >= self.divisor:
            raise UserError(f"form=folder: {max(used.values())} instances of a class in an image; type form=coco")
        assert truth.instances is not None
        ids = table[truth.instances.numpy()]
        if truth.semantic is not None:
            labels = truth.semantic.numpy()
            alone = truth.instances.numpy() == 0
            ids[alone] = np.where(labels == VOID, self.void, labels.astype(np.int64) * self.divisor)[alone]
            if np.isin(labels[alone], self.info.things).any():
                self.left["images with pixels of thing classes in no instance: in the maps these are crowds"] += 1
        if any(times > 1 for times in Counter(classes[crowd].tolist()).values()):
            self.left["images with several crowds of a class: in the maps these are one"] += 1
        return ids

    def _count(self, truth: Annotation) -> None:
        left = self.left
        bare = (self.masks and truth.semantic is None) or (self.maps and truth.instances is None)
        left["images without masks, unlike those of training: none are written"] += bare
        void = None if truth.semantic is None else truth.semantic == VOID  # which the maps hold
        if truth.keypoints is not None:
            left["instances with keypoints"] += int((truth.keypoints[..., 2] > 0).any(1).sum())
        if truth.head_boxes is not None:
            left["head boxes"] += int(truth.head_boxes.isfinite().all(1).sum())
        if truth.ignore is not None and (truth.ignore if void is None else truth.ignore & ~void).any():
            left["images with ignore regions (crowds stay crowds in maps)"] += 1
        if truth.instances is None or not self.maps:
            left["boxes"] += 0 if truth.boxes is None else len(truth.boxes)
            return
        seen = from_ids.areas(truth.instances, truth.count)
        left["instances without a pixel in the map"] += int((seen == 0).sum())
        if truth.boxes is not None:
            drawn = from_ids.boxes(truth.instances, truth.count)
            left["boxes that differ from their masks: read again around the masks"] += int(
                ((drawn - truth.boxes).abs().amax(1) > 0).logical_and(seen > 0).sum()
            )
        if truth.areas is not None:
            differ = ((truth.areas - seen).abs() > 0) & (seen > 0)
            left["areas that differ from the pixels of their masks: counted again"] += int(differ.sum())
        if truth.categories is not None and bool((truth.categories.diff() < 0).any()):
            left["images with instances in another order: by class"] += 1


def _save(values: np.ndarray, place: Path) -> None:
    """Write a map: PNG of 8 or 16 bits, TIFF of 32 bits where ids need them."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if values.dtype == np.uint8 or int(values.max()) <= LARGEST:
        kind = np.uint8 if values.dtype == np.uint8 else np.uint16
        Image.fromarray(values.astype(kind)).save(place.with_name(f"{place.name}.png"))
        return
    if int(values.max()) > torch.iinfo(torch.int32).max:
        raise UserError(f"{shown(place.name)}: ids of instances do not fit 32 bits; type form=coco")
    Image.fromarray(values.astype(np.int32)).save(place.with_name(f"{place.name}.tif"), compression="tiff_deflate")
