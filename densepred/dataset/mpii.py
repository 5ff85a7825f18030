"""MPII Human Pose in the JSON form of HRNet's and most other programs.

Source: http://human-pose.mpi-inf.mpg.de
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from densepred.contracts import Dataset
from densepred.dataset import coco, coco_fields, mat_file, official, paths
from densepred.dataset.image import read_stored
from densepred.dataset.image_file import MAX_PIXELS
from densepred.dataset.image_header import describe_files, white
from densepred.errors import UserError, shown
from densepred.ops.boxes.edges import areas
from densepred.types import Annotation, Frame, Info, Sample

KEYPOINTS = (
    "right_ankle",
    "right_knee",
    "right_hip",
    "left_hip",
    "left_knee",
    "left_ankle",
    "pelvis",
    "thorax",
    "upper_neck",
    "head_top",
    "right_wrist",
    "right_elbow",
    "right_shoulder",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
)
LIMBS = ((0, 1), (1, 2), (2, 6), (6, 3), (3, 4), (4, 5), (6, 7), (7, 8), (8, 9), (7, 12), (12, 11), (11, 10), (7, 13))
LIMBS += ((13, 14), (14, 15))
MIRRORED = ((0, 5), (1, 4), (2, 3), (10, 15), (11, 14), (12, 13))
SPLITS = {"train": ("train",), "valid": ("valid",), "test": ("valid",)}
"""The official test set has no ground truth: valid takes its place."""

PERSON = 200.0  # pixels: side of a person's square at `scale` 1
DOWN = 15.0  # pixels times scale: shift of the square downwards, as published, so that feet are not cut off
LARGEST = 2**26  # bytes of a file of heads; the official one has 2 MB


class Person(NamedTuple):
    """One entry of the file. Coordinates count from 0 here, from 1 there."""

    image: str
    joints: list[list[float]]  # 16 times x, y, visibility 0 or 2
    box: list[float]
    number: int


class Mpii(Dataset):
    """One sample per image, with all its people in the file.

    `boxes` are the squares of 200 pixels times `scale` around `center`, moved down by 15 pixels times scale, as in the
    published programs; a padding of 1.25 gives their crops. Boxes of heads, the unit of PCKh, are read from
    `annot/gt_{split}.mat` if that file exists (`headboxes_src`, in the order of the JSON).
    """

    def __init__(
        self,
        root: str,
        split: str = "train",
        splits: paths.Splits | None = None,
        images: paths.Patterns = "images",
        annotations: paths.Patterns = "annot/{split}.json",
        heads: str | None = "annot/gt_{split}.mat",
        limit: int | None = None,
        max_value: int | None = None,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        places = paths.known_splits(splits, SPLITS)
        if paths.fractions(places, split):
            raise UserError(f"dataset.splits: {places}; the splits of MPII are JSON files, name them")
        names = paths.split_names(places, split)
        with official.recognised(paths.dataset_root(root), "mpii"):
            self.path, name = paths.find(root, annotations, names, "annotations")
        self.folder = paths.find(root, images, [name], "images")[0]
        self.max_pixels = max_pixels
        self.info = Info(
            classes=("person",),
            things=(0,),
            palette=((220, 20, 60),),
            keypoints=KEYPOINTS,
            limbs=LIMBS,
            mirrored=MIRRORED,
            provides=("keypoints", "categories", "boxes", "areas", "crowd"),
            exif="stored",
        )
        people = _people(self.path)
        boxes = None if heads is None else _heads(paths.below(paths.dataset_root(root), heads, name), len(people))
        groups: dict[str, list[Person]] = {}
        for person in people:
            groups.setdefault(person.image, []).append(person)
        self.names = list(groups)[:limit]
        self._files = [paths.inside(self.folder, image, f"{self.path}: an entry") for image in self.names]
        self.info = replace(self.info, max_value=white(self._files, max_value, max_pixels))
        # Tensors are shared by the processes of a loader; a million small lists would be copied.
        kept = [person for image in self.names for person in groups[image]]
        self._joints = torch.tensor([person.joints for person in kept], dtype=torch.float32).view(-1, len(KEYPOINTS), 3)
        self._boxes = torch.tensor([person.box for person in kept], dtype=torch.float32).view(-1, 4)
        self._heads = None if boxes is None else boxes[[person.number for person in kept]]
        self._starts = np.cumsum([0, *(len(groups[image]) for image in self.names)])

    def __len__(self) -> int:
        return len(self.names)

    def images_line(self) -> str:
        return describe_files(self._files, self.info, self.max_pixels)

    def files(self) -> Sequence[Path]:
        return self._files

    def __getitem__(self, index: int) -> Sample:
        # Joints were marked on pixels as they are stored.
        image, _, void = read_stored(self._files[index], 3, self.max_pixels, self.info.max_value)
        size = (int(image.shape[1]), int(image.shape[2]))
        rows = self._rows(index)
        boxes = self._boxes[rows]
        count = len(boxes)
        truth = Annotation(
            size,
            keypoints=self._joints[rows],
            categories=torch.zeros(count, dtype=torch.int64),
            boxes=boxes,
            areas=areas(boxes.double()),
            head_boxes=None if self._heads is None else self._heads[rows],
            crowd=torch.zeros(count, dtype=torch.bool),
            ignore=void,  # without data, as GDAL_NODATA names it
        )
        return Sample(image, truth, Frame(self.identity(index)[1], size))

    def labelled(self, index: int) -> list[int]:
        return (self._joints[self._rows(index), :, 2] > 0).any(1).nonzero()[:, 0].tolist()

    def identity(self, index: int) -> tuple[int | str | None, str]:
        return None, Path(self.names[index]).with_suffix("").as_posix()

    def _rows(self, index: int) -> slice:
        return slice(int(self._starts[index]), int(self._starts[index + 1]))


def _people(path: Path) -> list[Person]:
    data = coco.read_json(path)
    if not isinstance(data, list) or not data or not all(isinstance(entry, dict) for entry in data):
        raise UserError(f"{path}: holds no list of people; give HRNet's form of MPII: image, joints, center, scale")
    return [_person(entry, number, f"{path}: entry {number}") for number, entry in enumerate(data)]


def _person(entry: Mapping[str, Any], number: int, where: str) -> Person:
    image = entry.get("image")
    if not isinstance(image, str):
        raise UserError(f"{where}: its image is {shown(image)}; give a file name")
    center = coco_fields.numbers(entry.get("center"), where, "center")
    (scale,) = coco_fields.numbers([entry.get("scale")], where, "scale", 0)
    if len(center) != 2 or scale == 0:
        raise UserError(f"{where}: its center is {shown(center)} and scale {scale:g}; give x, y and more than 0")
    x, y, half = center[0] - 1, center[1] - 1 + DOWN * scale, PERSON * scale / 2
    return Person(image, _joints(entry, where), [x - half, y - half, x + half, y + half], number)


def _joints(entry: Mapping[str, Any], where: str) -> list[list[float]]:
    """Return x, y, visibility per joint, all unlabelled if the entry has no joints, as in the test set."""
    if entry.get("joints") is None:
        return [[0.0, 0.0, 0.0]] * len(KEYPOINTS)
    seen = coco_fields.numbers(entry.get("joints_vis"), where, "joints_vis", 0, 1)
    pairs = entry["joints"] if isinstance(entry["joints"], list) else [entry["joints"]]
    points = [coco_fields.numbers(pair, where, "joints") for pair in pairs]
    if len(points) != len(KEYPOINTS) or len(seen) != len(KEYPOINTS) or any(len(point) != 2 for point in points):
        raise UserError(
            f"{where}: has {len(points)} joints and {len(seen)} joints_vis; give x and y of 16, and 16 numbers"
        )
    return [[x - 1, y - 1, 2.0] if known else [0.0, 0.0, 0.0] for (x, y), known in zip(points, seen, strict=True)]


def _heads(path: Path, count: int) -> Tensor | None:
    """Return the boxes of heads, (count, 4) float32; None if there is no such file."""
    if not path.is_file():
        return None
    try:
        found = mat_file.read(path, "headboxes_src", LARGEST).astype(np.float32)
    except (ValueError, OSError) as error:
        raise UserError(f"{path}: headboxes_src cannot be read ({error}); set dataset.heads=null") from error
    if found.shape != (2, 2, count):
        raise UserError(
            f"{path}: headboxes_src has shape {found.shape}, but the people of the JSON file need (2, 2, {count}); "
            "set dataset.heads=null"
        )
    # The axes are corner, coordinate, person.
    return torch.from_numpy(found).permute(2, 0, 1).reshape(-1, 4) - 1
