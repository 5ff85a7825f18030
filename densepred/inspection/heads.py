"""Objects that the heads of detectors cannot hold: without a location of their own, or beyond a limit per image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import singledispatch

import torch

from densepred.codec.center_detection import CenterDetection
from densepred.codec.fcos import FCOS
from densepred.codec.panoptic import Panoptic
from densepred.contracts import Codec
from densepred.inspection.facts import Facts
from densepred.inspection.finding import Finding
from densepred.ops.boxes.assign import assign, level_shapes, pyramid_locations
from densepred.types import Annotation, Info

SHARE = 0.01
"""Share of the objects without a location of their own above which a head is named."""
TASKS = {"detection_fcos": FCOS, "detection_center": CenterDetection, "instance_center": Panoptic}
REMEDIES = {  # and the override, to which half of the present number is added
    "detection_fcos": ("enlarge the images by transform=resize, or take a head with smaller strides", ""),
    "detection_center": ("take locations of half the stride", "task=detection_center task.codec.stride="),
    "instance_center": ("take a smaller window for centers", "task=instance_center task.codec.kernel="),
}


def known(info: Info) -> dict[str, Codec]:
    """Return the codecs of the tasks that a dataset has objects for, with their default settings."""
    found: dict[str, Codec] = {}
    if not info.things or info.keypoints:
        return found
    for task, kind in TASKS.items():
        codec = kind(info, stuff=False) if kind is Panoptic else kind(info)
        if set(codec.required) <= set(info.provides):
            found[task] = codec
    return found


def count(codecs: Mapping[str, Codec], truth: Annotation) -> dict[str, int]:
    """Return how many objects of an image have no location of their own, per task."""
    return {task: lost(codec, truth) for task, codec in codecs.items()}


@singledispatch
def lost(codec: Codec, truth: Annotation) -> int:
    """Return how many objects of an image share their location with another, or have none."""
    return 0


@lost.register
def _(codec: FCOS, truth: Annotation) -> int:
    boxes = codec.things.training_boxes(truth).boxes
    places = pyramid_locations(truth.size, codec.strides, codec.corner)
    owner = assign(places, boxes, codec.regress_range, codec.center_sampling_radius)
    return len(boxes) - len(owner[owner >= 0].unique())


@lost.register
def _(codec: CenterDetection, truth: Annotation) -> int:
    boxes = codec.things.training_boxes(truth).boxes
    rows, columns = level_shapes(truth.size, (codec.stride,))[0]
    centers = ((boxes[:, :2] + boxes[:, 2:] + 1) / 2 / codec.stride).floor().long()
    centers = torch.minimum(centers.clamp_min(0), torch.tensor([columns, rows]) - 1)
    return len(boxes) - len(centers.unique(dim=0))


@lost.register
def _(codec: Panoptic, truth: Annotation) -> int:
    """Count objects with a center in the window of an earlier one's: only one of the two is a maximum."""
    if truth.boxes is None or not len(truth.boxes):
        return 0
    keep = torch.ones(truth.count, dtype=torch.bool) if truth.crowd is None else ~truth.crowd
    centers = (truth.boxes[keep, :2] + truth.boxes[keep, 2:]) / 2
    near = (centers[:, None] - centers[None]).abs().amax(-1) <= codec.kernel // 2
    return int(near.tril(-1).any(1).sum())


def findings(found: Sequence[Facts], codecs: Mapping[str, Codec]) -> Iterator[Finding]:
    """Yield a finding for each head that cannot hold the objects of the training images."""
    objects = sum(one.objects.count or 0 for one in found)
    for task, codec in codecs.items():
        bad = sorted((one for one in found if one.lost.get(task)), key=lambda one: -one.lost[task])
        number = sum(one.lost[task] for one in bad)
        if number > SHARE * objects:
            yield _shared(task, codec, number, objects, bad)
        yield from _capped(task, codec, found)


def _shared(task: str, codec: Codec, number: int, objects: int, bad: Sequence[Facts]) -> Finding:
    remedy, words = REMEDIES[task]
    size = codec.stride if isinstance(codec, CenterDetection) else codec.kernel if isinstance(codec, Panoptic) else 0
    half = max(1, size // 2 - (size // 2 + 1) % 2 * isinstance(codec, Panoptic))  # a window has a middle
    return Finding(
        "note",
        "shared_locations",
        f"train: with task={task} {number} of {objects} objects ({number / objects:.1%}) have no location of their own",
        remedy,
        tuple(one.id for one in bad),
        f"{words}{half}" if words else "",
    )


def _capped(task: str, codec: Codec, found: Sequence[Facts]) -> Iterator[Finding]:
    limit = getattr(codec, "max_detections", None)
    crowded = [(one.objects.count or 0, one.id) for one in found]
    bad = sorted((pair for pair in crowded if limit is not None and pair[0] > limit), reverse=True)
    if bad:
        most = bad[0][0]
        yield Finding(
            "note",
            "low_limits",
            f"train: with task={task} an image has at most {limit} predictions, and {len(bad)} of {len(found)} hold "
            f"more objects, up to {most}",
            "raise the limit to twice the objects, because some predictions are wrong",
            tuple(name for _, name in bad),
            f"task={task} task.codec.max_detections={2 * most}",
        )
