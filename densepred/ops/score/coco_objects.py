"""The objects of an annotation as COCO's average precision counts them: boxes, masks or keypoints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from pycocotools import mask
from torch import Tensor

from densepred.ops.boxes import from_ids
from densepred.ops.regions.run_lengths import run_lengths
from densepred.ops.score.average_precision import Objects
from densepred.ops.score.requires import categories, count
from densepred.types import Annotation, Info, UserError

rle: Any = mask  # whose type stubs know few of its forms


def judged(info: Info) -> dict[int, str]:
    """The classes that come in instances, all where nothing says which, and their names."""
    names = info.classes or ("object",)
    return {c: names[c] for c in info.things or range(len(names))}


def limits(key: str, values: Sequence[int]) -> list[int]:
    """How many results of an image count, rising."""
    if not values or any(not isinstance(v, int) or isinstance(v, bool) or v < 1 for v in values):
        raise UserError(f"{key}: {list(values)}; give whole numbers, 1 or more")
    return sorted(set(values))


def boxed(found: Annotation, info: Info, areas: Tensor | None = None) -> Objects:
    """Objects with boxes, those of the instances where the annotation has none. Areas are the boxes' by default."""
    corners, keep = found.boxes, None
    if corners is None:
        assert found.instances is not None
        instances, number = found.instances.cpu(), count(found)
        corners, keep = from_ids.boxes(instances, number), from_ids.areas(instances, number).numpy() > 0
    boxes = _boxes(corners)
    return _objects(found, info, boxes, boxes[:, 2] * boxes[:, 3] if areas is None else _numbers(areas), keep)


def masked(found: Annotation, info: Info, areas: Tensor | None = None) -> Objects:
    """Objects with masks of a pixel or more. Areas are the masks' by default."""
    masks = [_runs(m) for m in found.masks] if found.masks is not None else _layers(found)
    # One by one: asked for 256 masks at once, pycocotools 2.0.11 counts them in a byte and raises OverflowError.
    pixels = np.array([rle.area(m) for m in masks], np.float64)
    keep = pixels > 0
    boxes = np.zeros((len(masks), 4))  # nothing reads them
    counts = tuple(m["counts"] for m, seen in zip(masks, keep, strict=True) if seen)
    return _objects(found, info, boxes, pixels if areas is None else _numbers(areas), keep, masks=counts)


def excused(found: Annotation, objects: Objects, classes: Sequence[int]) -> Objects:
    """The same objects and, for each class, a crowd of the pixels to `ignore` that are on no crowd yet."""
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
    )


def jointed(found: Annotation, info: Info, truth: bool = False) -> Objects:
    """Objects with keypoints. A result of which no joint was found is none.

    The area and the box of a result are those around all its keypoints. A truth has them of its own; else they are
    those around its labelled keypoints, and its area is its box's where it gives none.
    """
    assert found.keypoints is not None
    points = _numbers(found.keypoints)
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
    kinds = categories(found, info).cpu().numpy().astype(np.int64)
    assert len(crowd) == len(scores) == len(kinds) == len(areas) == number
    return Objects(found.size, kinds[keep], areas[keep], boxes[keep], scores[keep], crowd[keep], **more)


def _layers(found: Annotation) -> list[dict[str, Any]]:
    """A mask for each instance of the map."""
    assert found.instances is not None
    height, width = found.size
    runs = run_lengths(found.instances.cpu().numpy(), count(found))
    return [rle.frPyObjects({"counts": turns, "size": [height, width]}, height, width) for turns in runs]


def _runs(given: dict[str, Any]) -> dict[str, Any]:
    """A mask with its runs compressed to bytes."""
    counts = given["counts"]
    if isinstance(counts, list):
        return rle.frPyObjects(given, *given["size"])
    return {"size": given["size"], "counts": counts.encode("ascii") if isinstance(counts, str) else counts}


def _boxes(corners: Tensor) -> np.ndarray:
    """From corners that count from the middle of the first pixel to x, y, width and height from its edge."""
    x0, y0, x1, y1 = _numbers(corners).reshape(-1, 4).T
    return np.stack((x0 + 0.5, y0 + 0.5, x1 - x0, y1 - y0), 1)


def _around(points: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """The boxes of points (N, K, 2) that count, (N, K, 1); zeros where none does."""
    low = np.where(counted, points, np.inf).min(1, initial=np.inf)
    high = np.where(counted, points, -np.inf).max(1, initial=-np.inf)
    return np.where(counted.any(1), np.concatenate((low, high - low), 1), 0.0)


def _numbers(values: Tensor) -> np.ndarray:
    return values.detach().cpu().to(torch.float64).numpy()
