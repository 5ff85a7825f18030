"""Panoptic segmentation by centers of instances and offsets to them: Panoptic-DeepLab (arXiv 1911.10194)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any

import torch
from torch import Tensor

from densepred.codec import center_targets, unused
from densepred.codec.blockwise import Blocks
from densepred.codec.class_map import sure_logits
from densepred.codec.framing import check_whole
from densepred.contracts import Codec
from densepred.nn import choose, require_at_least_zero, require_fraction
from densepred.ops.heatmap import centers
from densepred.ops.regions.distance_maps import nearest_known
from densepred.ops.regions.merge import mean_probabilities, merge, without_unsure
from densepred.ops.resize import resample
from densepred.types import VOID, Annotation, Frame, HeadSpec, Info, UserError

SCORES = ("product", "semantic", "center")


class Panoptic(Codec):
    """Heads `semantic`, classes of things and stuff; `center`, a Gaussian per thing; `offset`, x and y to its center.

    The center of an instance is the mean of its pixels. Offsets are in input pixels and are trained on things only.
    Crowds, ignored and void pixels have no weight for centers and offsets. Areas are in pixels; below 1 they are shares
    of the image: of the input in training, of the original image in prediction.

    sigma: of the Gaussians, in input pixels.
    quantised: place Gaussians and predicted centers on whole pixels, as in the published code.
    small_area, small_weight: pixels of instances below this area have this weight in the loss of classes.
    ignore_crowd: give crowds no weight in the loss of classes either.
    threshold, kernel, max_detections: centers are at most `max_detections` maxima of the heat map above `threshold`,
        each the largest of `kernel` x `kernel` input pixels.
    thing_area, stuff_area: remove smaller instances, and classes of stuff with a smaller area.
    confidence: remove instances, and classes of stuff, with a lower mean probability of their class.
    score: of an instance: the mean probability of its class ("semantic"), the heat at its center ("center"), or their
        product ("product").
    stuff: if false, predictions hold instances only.
    """

    def __init__(
        self,
        info: Info,
        sigma: float = 8.0,
        quantised: bool = False,
        small_area: float = 0.002,
        small_weight: float = 3.0,
        ignore_crowd: bool = False,
        threshold: float = 0.1,
        kernel: int = 7,
        max_detections: int = 200,
        thing_area: float = 0.0,
        stuff_area: float = 0.001,
        confidence: float = 0.0,
        score: str = "product",
        stuff: bool = True,
    ) -> None:
        _check(info, sigma, kernel, max_detections, stuff)
        choose("task.codec.score", score, SCORES)
        self.classes = len(info.classes)
        self.things = torch.zeros(VOID + 1, dtype=torch.bool)
        self.things[list(info.things)] = True
        self.filler = next((i for i in range(self.classes) if i not in info.things), None)
        self.sigma, self.quantised, self.ignore_crowd = sigma, quantised, ignore_crowd
        self.small_area = require_at_least_zero(small_area, "task.codec.small_area")
        self.small_weight = float(require_at_least_zero(small_weight, "task.codec.small_weight"))
        self.threshold = require_fraction(threshold, "task.codec.threshold")
        self.kernel, self.max_detections = kernel, max_detections
        self.thing_area = require_at_least_zero(thing_area, "task.codec.thing_area")
        self.stuff_area = require_at_least_zero(stuff_area, "task.codec.stuff_area")
        self.confidence = require_fraction(confidence, "task.codec.confidence")
        self.score, self.stuff = score, stuff
        self.full = 0  # images with as many centers as `max_detections` lets through
        self.required = ("semantic", "instances", "categories")
        self.predicts = ("instances", "categories", "scores", *(["semantic"] if stuff else []))
        self.further = {} if stuff else {"semantic": "task.codec.stuff=true"}  # what is predicted under other settings
        self.heads = {
            "semantic": HeadSpec(self.classes, kind="classes", names=info.classes),
            "center": HeadSpec(1),
            "offset": HeadSpec(2),
        }

    def unused(self, settings: Mapping[str, Any]) -> dict[str, str]:
        sigma = ("sigma",) if settings["quantised"] else ()
        area = {} if settings["stuff"] else {"stuff_area": "stuff=false predicts no stuff"}
        return {**unused.targets("small_area", "small_weight", "ignore_crowd", *sigma), **area}

    def encode(self, truth: Annotation) -> dict[str, Tensor]:
        labels, ids, single = self._regions(truth)
        weights = self._small(ids, single)
        if self.ignore_crowd and not single.all():
            labels = labels.masked_fill(~torch.cat([single.new_ones(1), single])[ids.long()], VOID)
        # A crowd has a center and offsets too, of weight 0: `perfect_outputs` needs the whole ground truth.
        return center_targets.listed(labels, ids, single, weights)

    def expand(self, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        if "objects" not in targets:
            return dict(targets)
        whole = self.small_weight.is_integer() and self.small_weight <= 255
        return center_targets.maps(targets, self.sigma, self.quantised, torch.uint8 if whole else torch.float32)

    def _regions(self, truth: Annotation) -> tuple[Tensor, Tensor, Tensor]:
        """Return the class map, the ids of things (from 1, 0 elsewhere), and per id false for a crowd."""
        labels, ids, categories = truth.need("semantic"), truth.need("instances").long(), truth.need("categories")
        if truth.ignore is not None:
            labels = labels.masked_fill(truth.ignore, VOID)
        things = self.things.to(labels.device)
        none = categories.new_zeros(1, dtype=torch.bool)
        ids = ids * torch.cat([none, things[categories]])[ids]
        single = torch.ones_like(categories, dtype=torch.bool) if truth.crowd is None else ~truth.crowd
        # Pixels of things without an id form a crowd of their class.
        loose = things[labels.long()] & (ids == 0)
        if loose.any():
            kinds, which = labels[loose].unique(return_inverse=True)
            ids[loose] = which + len(single) + 1
            single = torch.cat([single, single.new_zeros(len(kinds))])
        present = torch.bincount(ids.flatten(), minlength=len(single) + 1)[1:] > 0
        numbers = torch.cat([none.long(), present.cumsum(0) * present])
        return labels, numbers[ids].int(), single[present]

    def _small(self, ids: Tensor, single: Tensor) -> Tensor:
        """Return the weight of the pixels of each instance in the loss of classes, (1 + N,)."""
        areas = torch.bincount(ids.flatten().long(), minlength=len(single) + 1)
        small = areas < pixels(self.small_area, ids.numel())
        small[0] = False
        small[1:] &= single
        return torch.where(small, self.small_weight, 1.0)

    def decode(
        self, outputs: Mapping[str, Tensor], frames: Sequence[Frame], align_corners: bool, probabilities: bool = False
    ) -> list[Annotation]:
        parts = (outputs[name].split(1) for name in ("semantic", "center", "offset"))
        found = []
        for semantic, heat, offset, frame in zip(*parts, frames, strict=True):
            found.append(self._image(semantic, heat[0, 0], offset, frame, align_corners))
            if probabilities:
                full = resample.resize(semantic, frame.size, align_corners)
                found[-1].probabilities = full.softmax(1)[0]
        return found

    def _image(self, semantic: Tensor, heat: Tensor, offset: Tensor, frame: Frame, align_corners: bool) -> Annotation:
        check_whole(frame)
        labels = resample.argmax(semantic, frame.size, align_corners)[0]
        found = self._centers(heat, frame, align_corners)
        self.full += len(found.points) >= self.max_detections
        scale = frame.matrix[0][0], frame.matrix[1][1]
        vectors = resample.resize(offset, frame.size, align_corners)[0]
        vectors = torch.stack([axis * factor for axis, factor in zip(vectors, scale, strict=True)])
        area = frame.size[0] * frame.size[1]
        limits = pixels(self.thing_area, area), pixels(self.stuff_area, area)
        things = self.things.to(labels.device)
        segments = merge(labels, vectors, found.points, things, *limits)
        if self.confidence:
            segments = without_unsure(segments, semantic[0], things, self.confidence, align_corners)
        scores = found.scores[segments.centers].clamp(0, 1)
        if self.score != "center":
            sure = mean_probabilities(semantic[0], segments.instances, segments.categories, align_corners)
            scores = sure if self.score == "semantic" else sure * scores
        return Annotation(
            frame.size,
            semantic=segments.semantic if self.stuff else None,
            instances=segments.instances,
            categories=segments.categories,
            scores=scores,
        )

    def _centers(self, heat: Tensor, frame: Frame, align_corners: bool) -> centers.Centers:
        """Return the centers in pixels of the original image.

        Maxima are located on the model's own grid: bilinear enlargement adds no maxima and blurs their position. The
        published code locates them in the enlarged map.
        """
        (sx, _, tx), (_, sy, ty) = frame.matrix
        size = frame.input
        if self.quantised:
            heat = resample.resize(heat[None, None], size, align_corners)[0, 0]
        down, right = size[0] / heat.shape[0], size[1] / heat.shape[1]
        reach = self.kernel // 2
        kernel = (2 * max(1, round(reach / down)) + 1, 2 * max(1, round(reach / right)) + 1)
        sigma = None if self.quantised else self.sigma / max(down, right)
        points, scores = centers.peaks(heat, self.max_detections, self.threshold, kernel if reach else (1, 1), sigma)
        # Numbers stay on the host: a tensor of two would wait for its copy.
        axes = []
        for axis, side, length, factor, scale, move in zip(
            points.unbind(1), heat.shape[::-1], size[::-1], (right, down), (sx, sy), (tx, ty), strict=True
        ):
            place = axis * ((length - 1) / max(1, side - 1)) if align_corners else (axis + 0.5) * factor - 0.5
            axes.append(place * scale + move)
        return centers.Centers(torch.stack(axes, 1), scores)

    def blocks(self, size: tuple[int, int]) -> Blocks:
        """Return blocks in which every center of the image counts that lies in the block or its margins."""
        one, area = copy(self), size[0] * size[1]
        one.thing_area = one.stuff_area = 0.0
        limits = pixels(self.thing_area, area), pixels(self.stuff_area, area)
        around = max(self.kernel, math.ceil(3 * self.sigma))  # of a center, where its heat is
        return Blocks(one, around, *limits, any_size=False)

    def perfect_outputs(self, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return outputs with void pixels as stuff; if no class is stuff, with those of the nearest known pixel."""
        targets = self.expand(targets)
        labels, offset = targets["semantic"], targets["offset"]
        if self.filler is not None:
            labels = labels.masked_fill(labels == VOID, self.filler)
        else:
            labels, offset = _extended(labels, offset)
        return {"semantic": sure_logits(labels, self.classes), "center": targets["center"], "offset": offset}

    def unflip(self, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Mirror all heads and negate the x of offsets."""
        flipped = super().unflip(outputs)
        flipped["offset"] = flipped["offset"] * flipped["offset"].new_tensor([-1, 1])[:, None, None]
        return flipped

    def unscale(self, outputs: Mapping[str, Tensor], factor: float) -> dict[str, Tensor]:
        return {**outputs, "offset": outputs["offset"] / factor}


def _extended(labels: Tensor, offset: Tensor) -> tuple[Tensor, Tensor]:
    """Replace void pixels in class maps (B, H, W) and offsets (B, 2, H, W) by the class and center of the nearest."""
    source = nearest_known(labels != VOID)  # (B, H, W)
    width = labels.shape[-1]
    place = torch.arange(labels[0].numel(), device=labels.device).view(labels.shape[1:])
    steps = torch.stack([source % width - place % width, source // width - place // width], 1)
    flat = source.flatten(1)
    labels = labels.flatten(1).gather(1, flat).view(labels.shape)
    offset = offset.flatten(2).gather(2, flat[:, None].expand(-1, 2, -1)).view(offset.shape) + steps
    return labels.masked_fill(labels == VOID, 0), offset  # an image may be all void


def pixels(area: float, whole: int) -> float:
    """Return an area in pixels; below 1 it is a share of the whole."""
    return area * whole if area < 1 else area


def _check(info: Info, sigma: float, kernel: int, max_detections: int, stuff: bool) -> None:
    if len(info.classes) < 2:
        count = "one class" if info.classes else "no class"
        raise UserError(
            f"the dataset has {count}; centers need two or more, such as background and one thing: "
            "name them in dataset.classes, or add a category to the file that lists them"
        )
    if not info.things and not stuff:
        raise UserError(
            "no class of the dataset comes in instances (Info.things); choose another dataset or task=semantic"
        )
    if not sigma > 0:
        raise UserError(f"task.codec.sigma: {sigma}; give pixels, more than 0")
    if kernel < 1 or kernel % 2 == 0:
        raise UserError(f"task.codec.kernel: {kernel}; give an odd number of pixels")
    if max_detections < 1:
        raise UserError(f"task.codec.max_detections: {max_detections}; give 1 or more")
