"""Faults of objects: none, tiny ones, boxes off the image, keypoints outside of boxes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torchvision.ops import box_iou

from densepred.dataset import run_length
from densepred.inspection.facts import Facts, Objects
from densepred.inspection.finding import Finding
from densepred.output import many
from densepred.types import Annotation

HIDDEN = 0.1
"""Share of an object under others from which it counts as hidden."""
SAME = 0.95
"""IoU of two boxes of a class above which one object was probably labelled twice."""
TINY = 16
"""Pixels below which an object is tiny: a square of four by four."""


def measure(truth: Annotation, classes: int = 0) -> Objects:
    """Count the objects of one image, per class and keypoint, and those with a fault."""
    if truth.boxes is None and truth.instances is None and truth.keypoints is None:
        return Objects()
    keep = torch.ones(truth.count, dtype=torch.bool) if truth.crowd is None else ~truth.crowd
    found = Objects(int(keep.sum()))
    if truth.categories is not None:
        found.classes = tuple(torch.bincount(truth.categories[keep].long(), minlength=classes).tolist())
    if truth.keypoints is not None:
        seen = truth.keypoints[keep][..., 2]
        labelled, found.visible = seen > 0, tuple((seen > 1).sum(0).tolist())
        found.keypoints, found.posed = tuple(labelled.sum(0).tolist()), int(labelled.any(1).sum())
    areas = None
    if truth.instances is not None:
        numbers = torch.bincount(truth.instances.flatten().long(), minlength=truth.count + 1)
        areas = numbers[1 : truth.count + 1][keep]
    elif truth.boxes is not None:
        areas = (truth.boxes[:, 2:] - truth.boxes[:, :2]).clamp(min=0).prod(1)[keep]
    if areas is not None:
        bare = _bare(truth)[keep] & (areas <= 0)
        found.empty, found.bare = int(((areas <= 0) & ~bare).sum()), int(bare.sum())
        found.tiny = int(((areas > 0) & (areas < TINY)).sum())
    if truth.boxes is not None:
        boxes, (height, width) = truth.boxes[keep], truth.size
        limit = torch.tensor([width, height], dtype=boxes.dtype)
        found.outside = int(((boxes[:, :2] < -1.5) | (boxes[:, 2:] > limit + 0.5)).any(1).sum())
        if truth.keypoints is not None:
            found.stray = _stray(truth.keypoints[keep], boxes)
        found.twice = _twice(boxes, _classes(truth)[keep])
    if truth.masks is not None and truth.instances is not None and areas is not None:
        whole = run_length.area(truth.masks)[keep]
        found.hidden = int((areas < (1 - HIDDEN) * whole).sum())
    return found


def _bare(truth: Annotation) -> torch.Tensor:
    """Return which objects, (N,), have a box with an area and no pixel of a mask."""
    if truth.boxes is None or truth.masks is None:
        return torch.zeros(truth.count, dtype=torch.bool)
    return ((truth.boxes[:, 2:] > truth.boxes[:, :2]).all(1)) & (run_length.area(truth.masks) <= 0)


def _classes(truth: Annotation) -> torch.Tensor:
    return torch.zeros(truth.count) if truth.categories is None else truth.categories


def _twice(boxes: torch.Tensor, categories: torch.Tensor) -> int:
    """Count the boxes (N, 4) that nearly are an earlier one of their class, (N,)."""
    alike = (box_iou(boxes, boxes) > SAME) & (categories[:, None] == categories)
    return int(alike.tril(-1).any(1).sum())


def _stray(points: torch.Tensor, boxes: torch.Tensor) -> int:
    """Count instances with a keypoint outside of the box. points: (N, K, 3), boxes: (N, 4)"""
    low, high = boxes[:, None, :2] - 1, boxes[:, None, 2:] + 1
    outside = ((points[..., :2] < low) | (points[..., :2] > high)).any(-1) & (points[..., 2] > 0)
    return int(outside.any(1).sum())


REMEDIES = {
    "hidden": (
        f"objects of which more than {HIDDEN:.0%} lie under others: maps of instances have no place for them",
        "see that they overlap in truth; tasks of boxes keep them whole",
    ),
    "twice": (f"objects that nearly have the box of another of their class (IoU above {SAME})", "remove the doubles"),
    "bare": (
        "boxes without a mask: their pixels are void, so that tasks of masks learn nothing from them",
        "draw their outlines, or train on boxes by task=detection_fcos",
    ),
    "empty": ("objects without an area", "correct or remove them in the annotations: they teach nothing"),
    "tiny": (
        f"objects of fewer than {TINY} pixels",
        "enlarge the images in transform, and see that task.codec.min_area, where there is one, lets them through",
    ),
    "outside": (
        "boxes or outlines that reach beyond their image",
        "check that the annotations are those of these images; a copy in COCO's form has clipped boxes",
    ),
    "stray": ("instances with keypoints outside of their boxes", "check the order of the columns and the boxes"),
}


def findings(split: str, found: Sequence[Facts], convert: str = "") -> Iterator[Finding]:
    """Yield a finding for each kind of faulty object in a split.

    convert: the command that writes the dataset in COCO's form
    """
    known = [one for one in found if one.objects.count is not None]
    total = sum(one.objects.count or 0 for one in known)
    for kind, (words, remedy) in REMEDIES.items():
        bad = sorted((one for one in known if getattr(one.objects, kind)), key=lambda o: -getattr(o.objects, kind))
        if bad:
            number = sum(getattr(one.objects, kind) for one in bad)
            fact = f"{split}: {number} of {total} are {words}, in {many(len(bad), 'image')}"
            level = "note" if kind in ("bare", "tiny", "hidden") else "warning"
            yield Finding(level, f"{kind}_objects", fact, remedy, _ids(bad), convert if kind == "outside" else "")
    without = [one for one in known if not one.objects.count]
    if without:
        fact = f"{split}: {len(without)} of {len(known)} images hold no object"
        level = "error" if len(without) == len(known) and split == "train" else "note"
        yield Finding(level, "no_objects", fact, "label them, or remove those that were never labelled", _ids(without))


def _ids(found: Sequence[Facts]) -> tuple[str, ...]:
    return tuple(one.id for one in found)
