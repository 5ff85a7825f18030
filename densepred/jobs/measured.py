"""Sizes in a sample of the training images, and the settings that follow from the sizes of objects."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median
from typing import Any, NamedTuple

import torch

from densepred.contracts import Dataset
from densepred.errors import MachineError, UserError
from densepred.ops.boxes import from_ids
from densepred.output import many
from densepred.types import VOID, Annotation, Info

LOOKED_AT = 16
"""Largest number of images to measure."""
LOOKED_AT_FOR_SHAPES = 64
"""Largest number for the shapes of boxes: images of poses often hold one instance each."""
SMALL = 32.0
"""Pixels per side of COCO's small objects at most."""
SCALES = tuple(f"densepred.transform.{name}" for name in ("crop.Crop", "scale.Scale", "affine.Affine"))
"""Transforms with the bounds `low` and `high` of a factor on the size."""
KEPT = 0.85
"""Least mean size of boxes in a crop, relative to a square crop as long."""
STEP = 32
"""Sides of crops are multiples of the stride of the encoder's deepest level."""


class Choice(NamedTuple):
    """A key, the value that is chosen for it, and the reason."""

    key: str
    value: Any
    reason: str


@dataclass(slots=True)
class Measured:
    """Sizes in the images of a sample."""

    sizes: list[tuple[int, int]] = field(default_factory=list)  # (height, width) of each image
    objects: list[tuple[float, float]] = field(default_factory=list)  # of the box of each object outside of crowds
    stuff: list[float] = field(default_factory=list)  # share of its image of each class of stuff in it
    most: int = 0  # objects of one image
    zoom: float = 1.0  # mean factor on the size of the images in training

    def side(self) -> float:
        """Return the median of the shorter sides of the objects, in pixels of the input of training."""
        return self.zoom * median(min(size) for size in self.objects)

    def seen(self) -> str:
        """Return the median of the shorter sides in words."""
        scaled = "" if math.isclose(self.zoom, 1, abs_tol=0.01) else f" at {self.zoom:.2f} of the size, as in training"
        return f"the median shorter side of {many(len(self.objects), 'object')} is {self.side():.0f} pixels{scaled}"


def measure(dataset: Dataset, skip_bad: bool = False, at_most: int = LOOKED_AT) -> Measured:
    """Measure up to `at_most` images, spread evenly over the dataset.

    skip_bad: leave out images that cannot be read, instead of raising their error
    """
    found, count = Measured(), min(len(dataset), at_most)
    for i in range(count):
        try:
            sample = dataset[i * len(dataset) // count]
        except UserError as error:
            if not skip_bad or isinstance(error, MachineError):
                raise
            continue
        objects = extents(sample.truth)
        found.sizes.append((int(sample.image.shape[-2]), int(sample.image.shape[-1])))
        found.objects += objects
        found.stuff += shares(sample.truth, dataset.info)
        found.most = max(found.most, len(objects))
    return found


def zoom(transforms: Sequence[Mapping[str, Any]]) -> float:
    """Return the mean factor on the size of images: the geometric mean of the bounds of each random scale."""
    bounds = [(node.get("low", 1.0), node.get("high", 1.0)) for node in transforms if node["_target_"] in SCALES]
    return math.prod(math.sqrt(low * high) for low, high in bounds)


def extents(truth: Annotation) -> list[tuple[float, float]]:
    """Return (height, width) of the boxes of the objects outside of crowds that have an area."""
    boxes = truth.boxes
    if boxes is None:
        if truth.instances is None:
            return []
        boxes = from_ids.boxes(truth.instances, truth.count)
    if truth.crowd is not None:
        boxes = boxes[~truth.crowd]
    sizes = [(y1 - y0, x1 - x0) for x0, y0, x1, y1 in boxes.tolist()]
    return [(height, width) for height, width in sizes if height > 0 and width > 0]


def shares(truth: Annotation, info: Info) -> list[float]:
    """Return the share of the image of each class of stuff in it; none without a class map."""
    if truth.semantic is None:
        return []
    areas = torch.bincount(truth.semantic.flatten().long(), minlength=VOID + 1)[: len(info.classes)].tolist()
    pixels = truth.size[0] * truth.size[1]
    return [area / pixels for c, area in enumerate(areas) if area and c not in info.things]


def panoptic(found: Measured, limit: int) -> list[Choice]:
    """Return the settings of `grouping`, and the least area of stuff: a fifth of it in the images is smaller.

    For the first hundred images of COCO that is 4096 of 640 x 480 pixels, the limit that is usual there.
    """
    if not found.stuff:
        return grouping(found, limit)
    least = min(0.02, max(0.001, round(sorted(found.stuff)[len(found.stuff) // 5], 4)))
    reason = f"a share of the image; a fifth of {len(found.stuff)} areas of stuff is smaller, 0.001 to 0.02"
    return [*grouping(found, limit), Choice("task.codec.stuff_area", least, reason)]


def grouping(found: Measured, limit: int) -> list[Choice]:
    """Return the settings of centers and offsets: the Gaussian's width, the weight of offsets, the most objects.

    The width is a quarter of the objects' shorter side, 1 to 8 (the paper's). Offsets are as long as the objects, so
    their weight falls with the size: 0.1 for objects of up to 20 pixels, 0.01 (the paper's) from 200 on.
    """
    side = found.side()
    sigma, weight = min(8.0, max(1.0, round(side / 4, 1))), min(0.1, max(0.01, round(2 / side, 3)))
    return [
        Choice("task.codec.sigma", sigma, f"{found.seen()}; a quarter of it, 1 to 8"),
        Choice("task.weights.offset", weight, f"{found.seen()}; 2 divided by it, 0.01 to 0.1"),
        *_room(found, limit),
    ]


def _room(found: Measured, limit: int) -> list[Choice]:
    """Return a larger limit of objects per image, if `limit` is below twice the most of an image."""
    most = 2 * found.most
    reason = f"twice the most objects of a training image, {found.most}"
    return [Choice("task.codec.max_detections", most, reason)] * (most > limit)


def fcos_levels(found: Measured, limit: int) -> list[Choice]:
    """Return the levels of a detector, from stride 4 if the median object is small by COCO's bound, else from 8.

    The limit of objects per image follows as for `grouping`.
    """
    side = found.side()
    start, extra = (4, 1) if side < SMALL else (8, 2)
    strides = [start * 2**level for level in range(5)]
    bound = "below" if side < SMALL else "at least"
    reason = f"{found.seen()}, {bound} {SMALL:.0f}"
    return [
        Choice("task.codec.strides", strides, reason),
        Choice("decoder.stride", start, "the finest of these levels"),
        Choice("decoder.extra", extra, "levels coarser than the encoder's"),
        *_room(found, limit),
    ]


def pose_crop(found: Measured, accelerator: bool) -> Choice:
    """Return the crop of single instances: 192 pixels long on a CPU, else 256, and as slim as their boxes allow.

    A crop of another shape than a box shows it smaller than a square would. The crop is the slimmest that keeps `KEPT`
    of that size in the mean over the boxes. Without boxes it is 4 : 3, the shape for people in arXiv 1804.06208.
    """
    longest, where = (256, "an accelerator") if accelerator else (192, "a CPU")
    on = f"the longer side is {longest} on {where}"
    if not found.objects:
        reason = f"no box in {many(len(found.sizes), 'measured image')}, so it is 4 : 3; {on}"
        return Choice("data.crop", [longest, longest * 3 // 4], reason)
    shapes = [shape for slim in range(STEP, longest + 1, STEP) for shape in ((longest, slim), (slim, longest))]
    enough = [shape for shape in shapes if kept(shape, found.objects) >= KEPT]  # a square keeps all
    shape = max((one for one in enough if min(one) == min(enough[0])), key=lambda one: kept(one, found.objects))
    share = f"{kept(shape, found.objects):.0%} of the size that a square would show, {KEPT:.0%} or more"
    return Choice("data.crop", list(shape), f"{many(len(found.objects), 'box', 'boxes')} keep {share}; {on}")


def kept(shape: tuple[int, int], boxes: Sequence[tuple[float, float]]) -> float:
    """Return how large boxes (height, width) are in a crop (height, width), relative to a square crop; the mean."""
    longest = max(shape)
    return fmean(min(shape[0] / height, shape[1] / width) * max(height, width) / longest for height, width in boxes)
