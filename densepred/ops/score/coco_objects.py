"""The objects of an annotation as COCO's average precision counts them: boxes, masks or keypoints."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from pycocotools import mask
from torch import Tensor

from densepred.contracts import Metric
from densepred.ops.boxes import from_ids
from densepred.ops.boxes.coco import to_coco
from densepred.ops.regions.run_lengths import compressed_masks
from densepred.ops.score.average_precision import Objects, Pair, curves, undefined
from densepred.types import Annotation, Info, UserError

rle: Any = mask  # its type stubs lack several forms of arguments


class ObjectAp(Metric):
    """Average precision and recall of boxes or masks, for a metric to inherit: `add` appends to `pairs`.

    `max_detections` limits the predictions per image, best first: the largest limit holds for all scores, each other
    one gives its own `ar<number>`. All names begin with `prefix`.
    """

    kind: Literal["bbox", "segm"]

    def __init__(self, info: Info, max_detections: Sequence[int] = (1, 10, 100), prefix: str = "") -> None:
        self.info, self.classes, self.prefix = info, object_classes(info), prefix
        option = type(self).__module__.rpartition(".")[2]
        self.most = detection_limits(f"metric.{option}.max_detections", max_detections)
        nothing = undefined(len(self.classes), len(self.most))
        self.mode = dict.fromkeys(nothing.summary(self.most, list(self.classes.values()), prefix), "max")
        self.pairs: list[Pair] = []

    def merge(self, other: Metric) -> None:
        assert isinstance(other, type(self))
        self.pairs = self.pairs + other.pairs

    def compute(self) -> dict[str, float | None]:
        found = curves(self.pairs, self.kind, list(self.classes), self.most)
        return found.summary(self.most, list(self.classes.values()), self.prefix)


def object_classes(info: Info) -> dict[int, str]:
    """Return the classes that come in instances, by default all, and their names."""
    names = info.classes or ("object",)
    return {c: names[c] for c in info.things or range(len(names))}


def detection_limits(key: str, values: Sequence[int]) -> list[int]:
    """Return numbers of predictions per image in ascending order. Raises UserError if one is below 1."""
    if not values or any(not isinstance(v, int) or isinstance(v, bool) or v < 1 for v in values):
        raise UserError(f"{key}: {list(values)}; give integers of 1 or more")
    return sorted(set(values))


def with_boxes(found: Annotation, info: Info, areas: Tensor | None = None) -> Objects:
    """Convert to objects with boxes, by default around the instances. Areas are those of the boxes by default."""
    corners, keep = found.boxes, None
    if corners is None:
        instances, number = found.need("instances").cpu(), found.count
        corners, keep = from_ids.boxes(instances, number), from_ids.areas(instances, number).numpy() > 0
    boxes = _boxes(corners)
    return _objects(found, info, boxes, boxes[:, 2] * boxes[:, 3] if areas is None else _numbers(areas), keep)


def with_masks(found: Annotation, info: Info, areas: Tensor | None = None) -> Objects:
    """Convert to objects with masks of at least one pixel. Areas are those of the masks by default."""
    if found.masks is None:
        masks = compressed_masks(found.need("instances").cpu().numpy(), found.count)
    else:
        masks = [_compressed(m) for m in found.masks]
    # One by one: with 256 masks at once, pycocotools 2.0.11 counts them in a byte and raises OverflowError.
    pixels = np.array([rle.area(m) for m in masks], np.float64)
    keep = pixels > 0
    boxes = np.zeros((len(masks), 4))  # never read
    counts = tuple(m["counts"] for m, seen in zip(masks, keep, strict=True) if seen)
    return _objects(found, info, boxes, pixels if areas is None else _numbers(areas), keep, masks=counts)


def with_ignored_regions(found: Annotation, objects: Objects, classes: Sequence[int]) -> Objects:
    """Add a crowd per class: the pixels of `ignore` that are on no crowd yet."""
    if found.ignore is None or not len(classes):
        return objects
    region = np.asfortranarray(found.ignore.cpu().numpy(), np.uint8)
    crowds = [m for m, crowd in zip(objects.masks, objects.crowd, strict=True) if crowd]
    if crowds:
        region &= 1 - rle.decode(rle.merge([{"size": list(objects.size), "counts": m} for m in crowds]))
    number = len(classes) if region.any() else 0
    return Objects(
        objects.size,
        np.concatenate((objects.categories, np.array(classes[:number], np.int64))),
        np.concatenate((objects.areas, np.full(number, region.sum(dtype=np.float64)))),
        np.concatenate((objects.boxes, np.zeros((number, 4)))),
        np.concatenate((objects.scores, np.ones(number))),
        np.concatenate((objects.crowd, np.ones(number, bool))),
        (*objects.masks, *[rle.encode(region)["counts"]] * number),
        source=objects.source,
    )


def with_ignored_boxes(truth: Annotation, objects: Objects, found: Objects) -> Objects:
    """Add a crowd for each predicted box that lies in `ignore` by at least half of its area.

    A crowd excuses a box by their common area over that of the box. So each has the share of its box that lies in the
    pixels of `ignore`, and their place. Crowds and boxes without a mask, which `ignore` covers for the sake of masks,
    are objects of their own. Exact for regions that are rectangles.
    """
    region = _ignored_pixels(truth, objects)
    if region is None or not len(found.boxes):
        return objects
    shares, rows = shares_within(region, found.boxes), list[int]()
    crowds = list[list[float]]()
    for row in np.flatnonzero(shares >= LEAST_OVERLAP).tolist():
        crowds.append(_common(region, found.boxes[row], float(shares[row])))
        rows.append(row)
    added = np.array(crowds).reshape(-1, 4)
    return Objects(
        objects.size,
        np.concatenate((objects.categories, found.categories[rows])),
        np.concatenate((objects.areas, added[:, 2] * added[:, 3])),
        np.concatenate((objects.boxes, added)),
        np.concatenate((objects.scores, np.ones(len(rows)))),
        np.concatenate((objects.crowd, np.ones(len(rows), bool))),
        source=objects.source,
    )


LEAST_OVERLAP = 0.5
"""The smallest overlap that COCO counts."""


def _ignored_pixels(truth: Annotation, objects: Objects) -> np.ndarray | None:
    """Return `ignore` (H, W) without crowds and boxes of objects that have no pixel; None if nothing is left."""
    if truth.ignore is None or not bool(truth.ignore.any()):
        return None
    region = truth.ignore.cpu().numpy().copy()
    covered = objects.crowd.copy()
    if truth.masks is not None and len(truth.masks) == len(covered):
        covered |= np.array([rle.area(_compressed(one)) == 0 for one in truth.masks], bool)
    elif truth.instances is not None and truth.count == len(covered):
        covered |= from_ids.areas(truth.instances.cpu(), truth.count).numpy() == 0
    for x, y, width, height in objects.boxes[covered]:
        left, top = max(0, math.floor(x)), max(0, math.floor(y))
        region[top : max(0, math.ceil(y + height)), left : max(0, math.ceil(x + width))] = False
    return region if region.any() else None


def shares_within(region: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Return the share of the area of each box (N, 4), x, y, width, height, that lies in a region (H, W) of pixels."""
    sums = np.zeros((region.shape[0] + 1, region.shape[1] + 1))
    sums[1:, 1:] = region.cumsum(0).cumsum(1)
    x0, y0, x1, y1 = boxes[:, 0], boxes[:, 1], boxes[:, 0] + boxes[:, 2], boxes[:, 1] + boxes[:, 3]
    inside = _at(sums, x1, y1) - _at(sums, x0, y1) - _at(sums, x1, y0) + _at(sums, x0, y0)
    return inside / np.maximum(boxes[:, 2] * boxes[:, 3], np.finfo(np.float64).tiny)


def _at(sums: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return sums up to points between the corners of pixels: bilinear, which is exact for whole pixels."""
    x, y = x.clip(0, sums.shape[1] - 1), y.clip(0, sums.shape[0] - 1)
    left, top = np.floor(x).astype(int).clip(0, sums.shape[1] - 2), np.floor(y).astype(int).clip(0, sums.shape[0] - 2)
    across, down = x - left, y - top
    upper = sums[top, left] * (1 - across) + sums[top, left + 1] * across
    lower = sums[top + 1, left] * (1 - across) + sums[top + 1, left + 1] * across
    return upper * (1 - down) + lower * down


def _common(region: np.ndarray, box: np.ndarray, share: float) -> list[float]:
    """Return a box of `share` of the area of another one, around the pixels of the region in it."""
    x, y, width, height = box.tolist()
    left, top = max(0, math.floor(x)), max(0, math.floor(y))
    part = region[top : math.ceil(y + height), left : math.ceil(x + width)]
    columns, rows = np.flatnonzero(part.any(0)), np.flatnonzero(part.any(1))
    x0, x1 = max(x, left + columns[0]), min(x + width, left + columns[-1] + 1)
    y0, y1 = max(y, top + rows[0]), min(y + height, top + rows[-1] + 1)
    factor = math.sqrt(min(1.0, share * width * height / ((x1 - x0) * (y1 - y0))))
    across, down = (x1 - x0) * factor, (y1 - y0) * factor
    return [(x0 + x1 - across) / 2, (y0 + y1 - down) / 2, across, down]


def with_keypoints(found: Annotation, info: Info, truth: bool = False) -> Objects:
    """Convert to objects with keypoints. Predictions without a joint are dropped.

    The box of a prediction lies around all its keypoints, and its area is that of the box. Ground truth uses its own
    boxes and areas. Without boxes they lie around the labelled keypoints; without areas they are those of the boxes.
    """
    points = _numbers(found.need("keypoints"))
    if truth and found.boxes is not None:
        boxes = _boxes(found.boxes)
    else:
        counted = points[..., 2:] > 0 if truth else np.ones_like(points[..., 2:], bool)
        boxes = _around(points[..., :2], counted)
    areas = _numbers(found.areas) if truth and found.areas is not None else boxes[:, 2] * boxes[:, 3]
    keep = np.ones(len(points), bool) if truth else np.any(points[..., 2] > 0, axis=1)
    return _objects(found, info, boxes, areas, keep, keypoints=points[keep])


def _objects(
    found: Annotation, info: Info, boxes: np.ndarray, areas: np.ndarray, keep: np.ndarray | None = None, **more: Any
) -> Objects:
    number = len(boxes)
    keep = np.ones(number, bool) if keep is None else keep
    crowd = np.zeros(number, bool) if found.crowd is None else found.crowd.cpu().numpy()
    scores = np.ones(number) if found.scores is None else _numbers(found.scores)
    kinds = found.class_ids(info).cpu().numpy().astype(np.int64)
    assert len(crowd) == len(scores) == len(kinds) == len(areas) == number
    return Objects(
        found.size, kinds[keep], areas[keep], boxes[keep], scores[keep], crowd[keep], source=found.source, **more
    )


def _compressed(mask: dict[str, Any]) -> dict[str, Any]:
    """Compress the runs of a mask to bytes."""
    counts = mask["counts"]
    if isinstance(counts, list):
        return rle.frPyObjects(mask, *mask["size"])
    return {"size": mask["size"], "counts": counts.encode("ascii") if isinstance(counts, str) else counts}


def _boxes(corners: Tensor) -> np.ndarray:
    """Convert boxes (N, 4) to COCO's, float64."""
    return np.stack(to_coco(*_numbers(corners).reshape(-1, 4).T), 1)


def _around(points: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """Return x, y, width, height around the points (N, K, 2) where `counted` (N, K, 1); zeros if none is."""
    low = np.where(counted, points, np.inf).min(1, initial=np.inf)
    high = np.where(counted, points, -np.inf).max(1, initial=-np.inf)
    return np.where(counted.any(1), np.concatenate((low, high - low), 1), 0.0)


def _numbers(values: Tensor) -> np.ndarray:
    return values.detach().cpu().to(torch.float64).numpy()
