"""Limits on the objects per image that the ground truth exceeds: without a notice they look like a weak model."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch

from densepred.contracts import Codec
from densepred.errors import Notice
from densepred.task import Task
from densepred.types import Annotation

KEYS = ("max_detections", "pre_nms_top_k")


@dataclass(slots=True)
class ObjectCounts:
    """The most objects that the ground truth of one image holds: of all classes, of one class, with a keypoint."""

    whole: int = 0
    of_class: int = 0
    people: int = 0
    smallest: int = 0  # pixels of the smallest instance; 0 without any
    least_share: float = 0.0  # of its image that an instance covers; 0 without any

    def add(self, truths: Iterable[Annotation]) -> None:
        for truth in truths:
            self.merge(count_objects(truth))

    def merge(self, other: ObjectCounts) -> None:
        self.whole = max(self.whole, other.whole)
        self.of_class = max(self.of_class, other.of_class)
        self.people = max(self.people, other.people)
        self.smallest = min(filter(None, (self.smallest, other.smallest)), default=0)
        self.least_share = min(filter(None, (self.least_share, other.least_share)), default=0.0)


def count_objects(truth: Annotation) -> ObjectCounts:
    """Count the objects of one image outside of crowds."""
    rows = torch.ones(truth.count, dtype=torch.bool) if truth.crowd is None else ~truth.crowd.cpu()
    whole = of_class = int(rows.sum())
    if truth.categories is not None and whole:
        of_class = int(torch.unique(truth.categories.cpu()[rows], return_counts=True)[1].max())
    known = rows if truth.keypoints is None else rows & (truth.keypoints[..., 2] > 0).any(1).cpu()
    smallest = _smallest(truth, rows)
    return ObjectCounts(whole, of_class, int(known.sum()), smallest, smallest / max(1, math.prod(truth.size)))


def _smallest(truth: Annotation, rows: torch.Tensor) -> int:
    """Return the pixels of the smallest visible instance among these rows; 0 without any."""
    if truth.instances is None:
        return 0
    areas = torch.bincount(truth.instances.cpu().flatten().long(), minlength=len(rows) + 1)[1 : len(rows) + 1]
    areas = areas[rows & (areas > 0)]
    return int(areas.min()) if len(areas) else 0


def limits(task: Task, codec: str = "task.codec") -> dict[str, int]:
    """Return the limits of the codec and of the metrics by their keys."""
    own = _of_codec(task.codec, codec)
    metrics = {f"metric.{name}.max_detections": metric for name, metric in task.new_metrics().items()}
    found = {key: getattr(metric, "most", ()) for key, metric in metrics.items()}
    return own | {key: max(most) for key, most in found.items() if most}


def tell(task: Task, most: ObjectCounts, split: str, exact: bool = True, codec: str = "task.codec") -> None:
    """Issue a notice if an image holds more objects than a limit lets through. Metrics count per class.

    codec: the key of the codec's settings in the command at hand.
    """
    _tell_of_small(task.codec, most, split, codec)
    found = []
    for key, limit in limits(task, codec).items():
        people = "keypoints" in (task.codec.required or ())
        number = most.people if people else most.of_class if key.startswith("metric.") else most.whole
        if number > limit:
            found.append((number, f"{key}={limit}", _remedy(key, number)))
    if not found:
        return
    number, reached = max(found)[0], " and ".join(text for _, text, _ in found)
    warnings.warn(
        f"{reached}: an image of the {split} split holds {'' if exact else 'at least '}{number} objects, so the rest "
        f"of them is lost and no model reaches the best score; set {' '.join(remedy for *_, remedy in found)}",
        Notice,
        stacklevel=2,
    )


def _tell_of_small(codec: Codec, most: ObjectCounts, split: str, where: str) -> None:
    """Issue a notice if the codec drops predictions of the size of the smallest instance; areas below 1 are shares."""
    for key in ("min_area", "thing_area"):
        least = getattr(codec, key, 0)
        share = least < 1
        if 0 < (most.least_share if share else most.smallest) < least:
            size = f"covers {most.least_share:.2g} of its image" if share else f"has {most.smallest} pixels"
            warnings.warn(
                f"{where}.{key}={least:g}: an instance of the {split} split {size}, and predictions of "
                f"{'less' if share else 'fewer'} than {least:g} are dropped; set {where}.{key}={most.smallest}",
                Notice,
                stacklevel=3,
            )


def tell_of_full(codec: Codec, images: int) -> None:
    """Issue a notice if predictions reached the limit of the codec; without ground truth nothing else is known.

    Counts anew from here on.
    """
    limit, full = getattr(codec, "max_detections", 0), take_full(codec)
    if full:
        reached = "the image has" if images == 1 else f"{full} of {images} images have"
        warnings.warn(
            f"codec.max_detections={limit}: {reached} as many predictions as it lets through, so others may be lost; "
            f"set codec.max_detections={2 * limit}",
            Notice,
            stacklevel=2,
        )


def take_full(codec: Any) -> int:
    """Return the images that reached the limit of the codec, and count anew: for `add_full` in another process."""
    full = getattr(codec, "full", 0)
    if full:
        codec.full = 0
    return full


def add_full(codec: Any, images: int) -> None:
    """Add what `take_full` gave."""
    if images:
        codec.full += images


def _of_codec(codec: Codec, where: str) -> dict[str, int]:
    return {f"{where}.{key}": getattr(codec, key) for key in KEYS if hasattr(codec, key)}


def _remedy(key: str, number: int) -> str:
    """Return the override: twice the number for predictions, because some of them are wrong."""
    if key.startswith("metric."):
        return f"{key}={number}" if "keypoint" in key else f"'{key}=[1,10,{number}]'"
    return f"{key}={2 * number}"
