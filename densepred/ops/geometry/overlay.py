"""Combine two samples of equal size: the pixels of a region come from the second, with their annotations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from densepred.ops.boxes import from_ids
from densepred.ops.geometry.annotation import apply
from densepred.ops.geometry.warp import IDENTITY, Warp
from densepred.types import ROWS, Annotation, Sample, UserError, unit_scale

Another = Callable[[torch.Generator], Sample]
"""Read another training sample, by random numbers of the generator."""

HIDDEN = 1.0
"""Visibility of a labelled keypoint that is not in sight, as in COCO."""


def fitted(sample: Sample, size: tuple[int, int]) -> Sample:
    """Cut or pad a sample to `size` at its right and lower edges; the padding is void."""
    return apply(sample, Warp(IDENTITY, size))


def overlay(under: Sample, over: Sample, region: Tensor, covered: float = 0.0) -> Sample:
    """Return `under` with the pixels of `region` and the instances in it taken from `over`, of equal size.

    region: (H, W) bool
    covered: visibility of labelled keypoints that lie on pixels of the other sample, at most

    Instances that lose pixels get the box and the area of those left; those that lose all of them are dropped. An
    instance without pixels from the start stays if the center of its box does. `masks` and `probabilities` become None.

    Raises UserError if there are instances and no map of their ids.
    """
    first, second = _cut(under.truth, ~region, covered), _cut(over.truth, region, covered)
    images = under.image, over.image
    if under.image.dtype != over.image.dtype:
        images = unit_scale(under.image), unit_scale(over.image)
    return Sample(torch.where(region, images[1], images[0]), _joined(first, second, region), under.frame)


def _cut(truth: Annotation, shown: Tensor, covered: float) -> Annotation:
    """Restrict the instances of an annotation to the pixels in `shown`."""
    if truth.instances is None:
        if truth.rows():
            raise UserError(
                f"transform: {', '.join(sorted(truth.rows()))} without a map of instance ids cannot be cut out; "
                "remove copy_paste, cutmix and classmix, or choose a dataset with masks"
            )
        return replace(truth, probabilities=None)
    count = truth.count
    ids = torch.where(shown, truth.instances, 0)
    before, after = from_ids.areas(truth.instances, count), from_ids.areas(ids, count)
    whole = before == after
    kept = torch.where(before > 0, after > 0, _centers(truth, shown))
    changed: dict[str, Any] = {"instances": ids, "masks": None, "probabilities": None}
    if truth.boxes is not None:
        changed["boxes"] = torch.where(whole[:, None], truth.boxes, from_ids.boxes(ids, count))
    if truth.areas is not None:
        changed["areas"] = torch.where(whole, truth.areas, after)
    if truth.keypoints is not None:
        clear = whole[:, None] | _at(truth.keypoints[..., :2], shown)
        changed["keypoints"] = truth.keypoints.clone()
        changed["keypoints"][..., 2].clamp_(max=torch.where(clear, torch.inf, covered))
    found = replace(truth, **changed)
    return found if kept.all() else found.select(kept)


def _centers(truth: Annotation, shown: Tensor) -> Tensor:
    """Mark instances with the center of their box in `shown`, (N,) bool; all of them without boxes."""
    if truth.boxes is None:
        return torch.ones(truth.count, dtype=torch.bool)
    return _at((truth.boxes[:, :2] + truth.boxes[:, 2:]) / 2, shown)


def _at(points: Tensor, shown: Tensor) -> Tensor:
    """Look up `shown` (H, W) at points (..., 2), moved to the nearest pixel."""
    height, width = shown.shape
    x = points[..., 0].round().long().clamp(0, width - 1)
    y = points[..., 1].round().long().clamp(0, height - 1)
    return shown[y, x]


def _joined(first: Annotation, second: Annotation, region: Tensor) -> Annotation:
    """Join two annotations that `_cut` has restricted to the two sides of `region`."""
    counts, out = (first.count, second.count), Annotation(first.size)
    for name in ("semantic", "image"):
        setattr(out, name, _mapped(getattr(first, name), getattr(second, name), region))
    if first.ignore is not None or second.ignore is not None:  # None ignores nothing
        below, above = (torch.zeros_like(region) if one.ignore is None else one.ignore for one in (first, second))
        out.ignore = torch.where(region, above, below)
    if first.instances is not None and second.instances is not None:
        numbered = torch.where(second.instances > 0, second.instances + counts[0], 0)
        out.instances = torch.where(region, numbered, first.instances)
    for name in ROWS:
        setattr(out, name, _rows(getattr(first, name), getattr(second, name), counts))
    return out


def _mapped(first: Tensor | None, second: Tensor | None, region: Tensor) -> Tensor | None:
    return None if first is None or second is None else torch.where(region, second, first)


def _rows(first: Tensor | None, second: Tensor | None, counts: tuple[int, int]) -> Tensor | None:
    """Join the rows of a field; a field that one annotation lacks is lost, unless that one has no instances."""
    if first is None or second is None:
        return second if not counts[0] else first if not counts[1] else None
    return torch.cat((first, second))
