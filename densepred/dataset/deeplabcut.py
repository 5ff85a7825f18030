"""Keypoints in the projects of DeepLabCut, of one or of several animals.

Source: https://deeplabcut.github.io/DeepLabCut/docs/standardDeepLabCut_UserGuide.html
"""

from __future__ import annotations

from collections.abc import Mapping

from densepred.dataset import dlc_table, keypoint_box, layouts, paths
from densepred.dataset.coco import Choice
from densepred.dataset.coco_keypoints import CocoKeypoints
from densepred.dataset.division import chosen_fold
from densepred.dataset.image_file import MAX_PIXELS
from densepred.dataset.named_image import beside
from densepred.dataset.records import Records
from densepred.errors import UserError

SPLITS: Mapping[str, float] = {"train": 0.8, "valid": 0.1, "test": 0.1}
ANIMAL = "animal"


class DeepLabCut(CocoKeypoints):
    """`root` is the project. Every CollectedData_*.csv below `labels`, one per video, gives frames and keypoints.

    Without it, the .h5 beside it does.

    All frames are divided by `splits`; `group` keeps frames of a video together. The box of an animal is that of its
    keypoints and `margin` pixels around it. Frames without a labelled keypoint have no animal.
    """

    def __init__(
        self,
        root: str,
        split: str = "train",
        splits: Mapping[str, float] | None = None,
        labels: str = "labeled-data",
        scorer: str | None = None,
        margin: float = 20.0,
        limit: int | None = None,
        max_value: int | None = None,
        seed: int = 0,
        group: str | None = None,
        max_pixels: int = MAX_PIXELS,
        folds: int | None = None,
        fold: int | None = None,
    ) -> None:
        known = paths.known_splits(splits, SPLITS)
        choice = Choice(split, known, seed, group, chosen_fold(folds, fold))
        fractions = paths.fractions(known, choice.source)
        if not fractions:
            raise UserError(f"dataset.splits: {known}; a project has no splits, so give fractions of its frames")
        paths.of_split(fractions, choice.source)
        folder = paths.dataset_root(root)
        try:
            tables = dlc_table.find(folder / labels, scorer)
        except paths.Absent as error:
            raise layouts.explained(error, folder, "deeplabcut") from error
        parts = list(dict.fromkeys(part for table in tables for part in table.parts()))
        records = Records(folder / labels, folder, max_pixels, upright=False)
        for table in tables:
            self._gather(records, table, parts, margin)
        skeleton = dlc_table.limbs(folder / "config.yaml", parts)
        file = records.file([ANIMAL], choice, fractions, keypoints=parts, skeleton=skeleton)
        self._index(file, None, 1, 0, limit, "stored", max_value, max_pixels)

    def _gather(self, records: Records, table: dlc_table.Table, parts: list[str], margin: float) -> None:
        if unique := table.parts(unique=True):
            records.told[f"videos whose unique body parts ({', '.join(unique)}) are left out"] += 1
        known = table.parts()
        if lacking := [part for part in parts if part not in known]:
            records.told[f"videos without the body parts {', '.join(lacking)}, which count as not labelled there"] += 1
        for place, name, animals in table.rows():
            image = records.image(beside(table.path, name, records.folder))
            for animal, points in animals.items():
                box = keypoint_box.with_margin(list(points.values()), margin, records.size(image))
                joints = [(*points[part], 2) if part in points else (0, 0, 0) for part in parts]
                flat = [value for joint in joints for value in joint]
                records.add(image, ANIMAL, f"{place} {animal}".strip(), bbox=box, keypoints=flat)
