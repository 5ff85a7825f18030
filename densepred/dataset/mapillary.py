"""Mapillary Vistas 1.2 and 2.0: street scenes with classes and instances, in the official trees.

Source: https://www.mapillary.com/dataset/vistas
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from densepred.dataset import class_lists, official, paths
from densepred.dataset.id_map import PROVIDED, annotate, read_ids
from densepred.dataset.image_file import MAX_PIXELS
from densepred.dataset.image_header import white
from densepred.dataset.labels import Labels, number
from densepred.dataset.mapillary_version import find_version, version_of
from densepred.dataset.pairs import pair_folders
from densepred.errors import UserError
from densepred.types import Frame, Sample

DIVISOR = 256  # an id in a map of instances is the label * 256 + the number of the instance
SPLITS = {"train": "training", "valid": "validation", "test": "validation"}  # the labels of testing are not public


class Mapillary(official.OfficialMasks):
    """`root` holds training, validation and config.json (config_v1.2.json and config_v2.0.json in version 2.0).

    Labels that this file does not evaluate are void. `instances` reads the maps of 16 bits, in which each id of a
    label with instances is one; without it the class maps are read, which is faster.
    """

    def __init__(
        self,
        root: str,
        split: str = "train",
        splits: Mapping[str, str] | None = None,
        version: str | float = "v1.2",
        instances: bool = True,
        max_value: int | None = None,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        folder, name = paths.dataset_root(root), paths.name_of_split(splits, SPLITS, split)
        version = version_of(version)
        with official.recognised(folder, "mapillary"):
            config, masks = find_version(root, version, name, "instances" if instances else "labels")
            pairs = pair_folders(official.there(folder / name / "images", "check dataset.splits"), masks)
        entries, things = class_lists.vistas(config)
        ids = number([entry.id for entry in entries], {entry.id for entry in entries if entry.ignore}, {})
        kept = [entry for entry in entries if not entry.ignore]
        labels = Labels(tuple(entry.name for entry in kept), ids)
        bright = white([pair.image for pair in pairs], max_value, max_pixels)
        self._open(pairs, labels, tuple(entry.colour for entry in kept if entry.colour), max_pixels, bright)
        self._classes = np.array([ids[entry.id] for entry in entries])
        if instances:
            numbers = tuple(sorted(ids[label] for label in things if not entries[label].ignore))
            self.info = replace(self.info, things=numbers, provides=PROVIDED)

    def __getitem__(self, index: int) -> Sample:
        pair = self.pairs[index]
        if "instances" not in self.info.provides or pair.mask is None:
            return super().__getitem__(index)
        ids = read_ids(pair.mask, self._read.max_pixels)
        truth = annotate(ids, partial(self._classify, path=pair.mask), self.info.things)
        image = self._read.image(pair.image, truth, f"the map {pair.mask}")
        return Sample(image, truth, Frame(pair.id, truth.size))

    def _classify(self, ids: np.ndarray, path: Path) -> tuple[np.ndarray, np.ndarray]:
        labels = ids // DIVISOR
        if int(labels.max()) >= len(self._classes):
            text = f"holds the id {ids.max()}, of label {labels.max()}, but the configuration has {len(self._classes)}"
            raise UserError(f"{path}: {text}; check dataset.version")
        return self._classes[labels], np.zeros(len(ids), bool)
