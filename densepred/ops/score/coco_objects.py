"""The objects of an annotation as COCO's average precision counts them: boxes, masks or keypoints."""

from __future__ import annotations

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
