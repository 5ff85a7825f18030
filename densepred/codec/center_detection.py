"""Boxes as peaks of a heat map at their centers, with sizes (CenterNet, arXiv 1904.07850)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from densepred.codec import unused
from densepred.codec.things import Things
from densepred.contracts import Codec
from densepred.nn import choose
from densepred.ops.boxes.assign import level_shapes, pyramid_locations
from densepred.ops.boxes.edges import areas, clip
from densepred.ops.boxes.gaussian_radius import corner_radius, published_radius
from densepred.ops.boxes.to_image import boxes_in_image
from densepred.ops.heatmap.gaussian import heatmaps
from densepred.ops.heatmap.peaks import local_maxima
from densepred.ops.resize import resample
from densepred.types import Annotation, Frame, HeadSpec, Info, UserError

RADII = {"published": published_radius, "corner": corner_radius}


class CenterDetection(Codec):
    """Heads `class`, one heat map per class of things; `size`, width and height; `offset`, center minus location.

    All heads are at `stride`, and sizes and offsets are in strides. Each center has a Gaussian with a peak of 1 at the
    nearest location. Size and offset are trained at these locations only; if two boxes share one, at the smaller box.
    Locations in crowds are not trained, except those of centers; nor are ignored pixels outside boxes, such as void.

    radius: the radius at which a Gaussian ends. A box with corners that are off by it still overlaps by `overlap`:
        "published" as the authors' program computes it, "corner" as in CornerNet's paper, about a third of it.
    score_threshold, max_detections: a detection is the largest of its 3 x 3 neighbours and above the threshold; the
        best `max_detections` per image remain.
    prior: the probability that every class is initialised to.
    """

    required = ("boxes", "categories")
    predicts = ("boxes", "categories", "scores")
    windowed = True

    def __init__(
        self,
        info: Info,
        stride: int = 4,
        overlap: float = 0.7,
        radius: str = "published",
        score_threshold: float = 0.1,
        max_detections: int = 100,
        prior: float = 0.1,
    ) -> None:
        choose("task.codec.radius", radius, RADII)
        for name, value in (("stride", stride), ("max_detections", max_detections)):
            if value < 1:
                raise UserError(f"task.codec.{name}: {value}; give 1 or more")
        if not 0 <= score_threshold < 1:
            raise UserError(f"task.codec.score_threshold: {score_threshold}; give a number from 0 to below 1")
        for name, share in (("overlap", overlap), ("prior", prior)):
            if not 0 < share < 1:
                raise UserError(f"task.codec.{name}: {share}; give a number between 0 and 1")
        self.things = Things(info)
        self.stride, self.overlap, self.radius = stride, overlap, RADII[radius]
        self.score_threshold, self.max_detections = score_threshold, max_detections
        self.full = 0  # images with as many detections as `max_detections` lets through
        self.heads = {
            "class": HeadSpec(len(self.things.classes), (stride,), prior=prior, names=self.things.names),
            "size": HeadSpec(2, (stride,), positive=True, names=("width", "height")),
            "offset": HeadSpec(2, (stride,), names=("x", "y")),
        }

    def unused(self, settings: Mapping[str, Any]) -> dict[str, str]:
        return unused.targets("overlap", "radius", "prior")

    def encode(self, truth: Annotation) -> dict[str, Tensor]:
        labelled = self.things.training_boxes(truth)
        boxes, channels = clip(labelled.boxes, truth.size), labelled.channels
        seen = (boxes[:, 2:] > boxes[:, :2]).all(1)
        boxes, channels = boxes[seen], channels[seen]
        grid = level_shapes(truth.size, (self.stride,))[0]
        sizes = (boxes[:, 2:] - boxes[:, :2]) / self.stride
        places, centers = self._locations(boxes, grid)
        heat = self._heat(places, sizes, channels, grid)
        owner = _owners(places[:, 1] * grid[1] + places[:, 0], areas(boxes), grid)
        positive = owner >= 0
        size, offset = boxes.new_zeros(2, *grid), boxes.new_zeros(2, *grid)
        size[:, positive] = sizes[owner[positive]].T
        offset[:, positive] = (centers - places)[owner[positive]].T
        locations = pyramid_locations(truth.size, (self.stride,), corner=False, device=boxes.device)
        unlabelled = labelled.unlabelled(locations.points).view(grid) & ~positive
        return {
            "class": heat,
            "class_weight": (~unlabelled).float(),
            "size": size,
            "size_weight": positive.float(),
            "offset": offset,
            "offset_weight": positive.float(),
        }

    def _locations(self, boxes: Tensor, grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Return the locations nearest to centers of boxes, (N, 2) int64 x and y, and the exact centers in strides."""
        centers = ((boxes[:, :2] + boxes[:, 2:] + 1) / 2) / self.stride - 0.5
        last = torch.tensor([grid[1], grid[0]], device=boxes.device) - 1
        return torch.minimum((centers + 0.5).floor().long().clamp_min(0), last), centers

    def _heat(self, places: Tensor, sizes: Tensor, channels: Tensor, grid: tuple[int, int]) -> Tensor:
        """Return the target (K, h, w), exactly 1 at centers."""
        radius = self.radius(sizes.ceil(), self.overlap).clamp_min(0).floor()
        sigma = (2 * radius + 1) / 6
        # The half keeps rounding from adding a location: the window ends after `radius` of them.
        reach = (radius - 0.5) / sigma
        return heatmaps(places.float(), channels, len(self.things.classes), grid, sigma, reach)

    def decode(
        self, outputs: Mapping[str, Tensor], frames: Sequence[Frame], align_corners: bool, probabilities: bool = False
    ) -> list[Annotation]:
        found = []
        for index, frame in enumerate(frames):
            grid = level_shapes(frame.input, (self.stride,))[0]
            maps = (resample.resize(outputs[name][index, None], grid, align_corners) for name in self.heads)
            found.append(self._detect(*maps, frame=frame))
        return found

    def _detect(self, logits: Tensor, size: Tensor, offset: Tensor, frame: Frame) -> Annotation:
        """Return the detections in the maps of one image, (1, C, h, w) each."""
        height = logits.shape[-2]
        least = self.score_threshold
        threshold = math.log(least / (1 - least)) if least > 0 else -math.inf
        peaks = local_maxima(logits, self.max_detections, threshold, across=True)
        kept = peaks.scores[0].isfinite()
        self.full += int(kept.sum()) >= self.max_detections
        scores, x, rows = peaks.scores[0][kept], peaks.x[0][kept], peaks.y[0][kept]
        y = rows % height
        centers = torch.stack([x, y], 1) + offset[0, :, y, x].T
        half = size[0, :, y, x].T.clamp_min(0) / 2
        edges = (torch.cat([centers - half, centers + half], 1) + 0.5) * self.stride - 0.5
        boxes = boxes_in_image(edges, frame)
        real = (boxes[:, 2:] > boxes[:, :2]).all(1)
        categories = self.things.categories(rows[real] // height)
        return Annotation(frame.size, boxes=boxes[real], categories=categories, scores=scores[real].sigmoid())

    def perfect_outputs(self, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        heat = targets["class"].clamp(1e-6, 1 - 1e-6).logit()
        return {"class": heat, "size": targets["size"], "offset": targets["offset"]}

    def unflip(self, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Mirror every map and negate the x offsets."""
        mirrored = {name: value.flip(-1) for name, value in outputs.items()}
        if "offset" in mirrored:
            mirrored["offset"] = mirrored["offset"] * mirrored["offset"].new_tensor([-1.0, 1.0])[:, None, None]
        return mirrored


def _owners(index: Tensor, area: Tensor, grid: tuple[int, int]) -> Tensor:
    """Return the index of the smallest box with its center at each location, (h, w) int64, -1 if none.

    index: (N,) flat indices of the locations of centers.
    area: (N,) areas of the boxes.
    """
    order = area.argsort(stable=True)
    count = len(order)
    rank = torch.full((grid[0] * grid[1],), count, device=index.device)
    rank = rank.scatter_reduce(0, index[order], torch.arange(count, device=index.device), "amin")
    return torch.cat([order, order.new_full((1,), -1)])[rank].view(grid)
