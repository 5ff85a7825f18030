"""COCO's average precision and recall, computed by hotcoco or pycocotools from annotations in memory.

Lin et al., ECCV 2014 (arXiv 1405.0312); https://cocodataset.org/#detection-eval and #keypoints-eval.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import PurePosixPath
from typing import Any, Literal

import numpy as np

from densepred.ops.score import coco_engine

FAR = 1e10
SIZES = {"": (0.0, FAR), "_small": (0.0, 32.0**2), "_medium": (32.0**2, 96.0**2), "_large": (96.0**2, FAR)}
"""Range of areas in square pixels, per suffix of a name."""

THRESHOLDS = {"50": 0, "75": 5}
"""Indices of 0.5 and 0.75 among the IoU thresholds 0.5, 0.55, ... 0.95."""


Source = tuple[int | str | None, str]
"""The id of an image in a COCO file, if any, and its name: a path."""


@dataclass(frozen=True, slots=True)
class Objects:
    """Objects of one image, ground truth or predicted, with boxes in COCO's convention."""

    size: tuple[int, int]
    categories: np.ndarray  # (N,) int64
    areas: np.ndarray  # (N,) float64
    boxes: np.ndarray  # (N, 4) float64: x, y, width, height
    scores: np.ndarray  # (N,) float64
    crowd: np.ndarray  # (N,) bool
    masks: tuple[bytes, ...] = ()  # N compressed run-length masks, if masks are evaluated
    keypoints: np.ndarray | None = None  # (N, K, 3) float64, if keypoints are evaluated
    source: Source | None = None

    def digest(self) -> bytes:
        hashed = hashlib.blake2b(repr(self.size).encode())
        for part in (self.categories, self.areas, self.boxes, self.scores, self.crowd, self.keypoints, *self.masks):
            hashed.update(b"" if part is None else part if isinstance(part, bytes) else part.tobytes())
        return hashed.digest()

    def entries(self, image: int, ids: Iterable[int]) -> list[dict[str, Any]]:
        """Return the objects in the form of annotations or results of COCO's JSON."""
        found = [
            {"id": number, "image_id": image, "category_id": c, "area": area, "bbox": box, "score": s, "iscrowd": crowd}
            for c, area, box, s, crowd, number in zip(
                self.categories.tolist(),
                self.areas.tolist(),
                self.boxes.tolist(),
                self.scores.tolist(),
                self.crowd.astype(int).tolist(),
                ids,
                strict=False,
            )
        ]
        for entry, mask in zip(found, self.masks, strict=False):
            entry["segmentation"] = {"size": list(self.size), "counts": mask}
        if self.keypoints is not None:
            for entry, points in zip(found, self.keypoints, strict=True):
                entry |= {"keypoints": points.reshape(-1).tolist(), "num_keypoints": int((points[:, 2] > 0).sum())}
        return found


Pair = tuple[Objects, Objects]
"""Ground truth and prediction of one image."""


@dataclass(frozen=True, slots=True)
class Curves:
    """Curves over T = 10 IoUs, R = 101 recalls, K categories, A = 4 sizes, M detection limits; -1 if undefined."""

    precision: np.ndarray  # (T, R, K, A, M)
    recall: np.ndarray  # (T, K, A, M)

    def summary(
        self, most: Sequence[int], names: Sequence[str], prefix: str, strict: bool = False
    ) -> dict[str, float | None]:
        """Return COCO's scores, and `ap/<name>` per category. With `strict`, recall at single IoUs too."""
        last = len(most) - 1
        overlaps: dict[str, int | slice] = {"": slice(None), **THRESHOLDS}
        found = {"ap" + name: self.precision[t, :, :, 0, last] for name, t in overlaps.items()}
        found |= {"ap" + size: self.precision[:, :, :, a, last] for a, size in enumerate(SIZES)}
        found |= {"ar" + name: self.recall[t, :, 0, last] for name, t in overlaps.items() if strict or not name}
        found |= {f"ar{number}": self.recall[:, :, 0, m] for m, number in enumerate(most[:-1])}
        found |= {"ar" + size: self.recall[:, :, a, last] for a, size in enumerate(SIZES)}
        found |= {f"ap/{name}": self.precision[:, :, k, 0, last] for k, name in enumerate(names)}
        return {prefix + name: _mean(values) for name, values in found.items()}


def undefined(categories: int, most: int) -> Curves:
    """Return the curves of an empty dataset (all undefined)."""
    return Curves(
        np.full((10, 1, categories, len(SIZES), most), -1.0), np.full((10, categories, len(SIZES), most), -1.0)
    )


def curves(
    pairs: Iterable[Pair],
    kind: Literal["bbox", "segm", "keypoints"],
    categories: Sequence[int],
    most: Sequence[int],
    sigmas: Sequence[float] | None = None,
) -> Curves:
    """Match boxes, masks or keypoints of all images. `categories` are evaluated, in this order.

    Predictions of equal score rank in the order of their images, see `in_order`, and in an image as they are given: as
    in the files of results, so that COCO's tools find the same digits. Neither the order in which images are taken in
    nor the number of processes matters.
    """
    ordered = in_order(pairs)
    params: dict[str, Any] = {
        "maxDets": list(most),
        "areaRng": [list(size) for size in SIZES.values()],
        "areaRngLbl": list(SIZES),
    }
    if sigmas is not None:
        params["kpt_oks_sigmas"] = np.array(sigmas)
    truth, found = (_dataset([pair[side] for pair in ordered], categories) for side in (0, 1))
    precision, recall = coco_engine.count(truth, found, kind, params)
    back = np.argsort(np.argsort(categories))  # COCOeval sorts them
    return Curves(precision[:, :, back], recall[:, back])


def in_order(pairs: Iterable[Pair]) -> list[Pair]:
    """Order images by their ids in COCO files, else by numbers that are their names, else by their paths.

    These are the ids of `densepred-predict`. Images of unknown source are ordered by a hash of their objects.
    """
    pairs = sorted(pairs, key=lambda pair: (pair[0].digest(), pair[1].digest()))
    sources = [pair[0].source for pair in pairs]
    known = [source for source in sources if source is not None]
    if len(known) < len(pairs):
        return pairs
    ids = [id for id, _ in known]
    if any(not isinstance(id, int) for id in ids):
        ids = numbers([PurePosixPath(name).name for _, name in known]) or ids
    if all(isinstance(id, int) for id in ids):
        keys = [(id, "") for id in ids]
    else:
        keys = [(0, PurePosixPath(name).parts) if id is None else (1, str(id)) for id, name in known]
    return [pair for _, pair in sorted(zip(keys, pairs, strict=True), key=lambda both: both[0])]


def numbers(stems: Sequence[str]) -> list[int] | None:
    """Return the numbers that names without extension are, such as 000000000139; None unless all differ."""
    found = [int(stem) for stem in stems if re.fullmatch("[0-9]{1,15}", stem)]
    return found if len(set(found)) == len(stems) else None


def _dataset(images: Sequence[Objects], categories: Sequence[int]) -> dict[str, Any]:
    """Return a dataset in the form of COCO's JSON, without objects of other categories than these.

    Ids count from 1, because there 0 means no match.
    """
    ids, kept = count(1), {*categories}
    return {
        "images": [{"id": i, "height": found.size[0], "width": found.size[1]} for i, found in enumerate(images, 1)],
        "categories": [{"id": category, "name": str(category)} for category in categories],
        "annotations": [
            entry
            for i, found in enumerate(images, 1)
            for entry in found.entries(i, ids)
            if entry["category_id"] in kept
        ],
    }


def _mean(values: np.ndarray) -> float | None:
    """Compute the mean of the defined values; None without any."""
    defined = values[values > -1]
    return float(defined.mean()) if defined.size else None
