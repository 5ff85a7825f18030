"""Boxes as distances from the locations of a pyramid to their sides (FCOS, arXiv 1904.01355 and 2006.09214)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from densepred.codec import unused
from densepred.codec.class_map import SURE
from densepred.codec.things import Things
from densepred.contracts import Codec
from densepred.nn import choose, require_fraction
from densepred.ops.boxes.assign import Locations, assign, pyramid_locations
from densepred.ops.boxes.ltrb import centerness
from densepred.ops.boxes.to_image import boxes_in_image
from densepred.types import Annotation, Frame, HeadSpec, Info, UserError

POINTS = ("middle", "corner")


class FCOS(Codec):
    """Heads `class`, one sigmoid per thing; `distances` to the left, top, right and bottom side; and `centerness`.

    Each head has one level per entry of `strides`; distances are in strides. A location is positive if it lies inside a
    box and within `center_sampling_radius` strides of its center (0: anywhere inside). The farthest side must also be
    at most `regress_range` strides away and farther than the level before reaches; the first level has no least and the
    last no greatest distance. If several boxes qualify, the smallest is assigned. In crowds only positive locations are
    trained, and on ignored pixels, such as void and padding, only those in boxes.

    points: "middle" places locations at the centers of strides, as in the paper; "corner" as in torchvision.
    score_threshold, pre_nms_top_k: the scores are sqrt(class * centerness); per level the best `pre_nms_top_k` above
        the threshold remain.
    nms, max_detections: non-maximum suppression per class at this overlap (IoU), then at most `max_detections` per
        image.
    prior: the probability that every class is initialised to.
    """

    required = ("boxes", "categories")
    predicts = ("boxes", "categories", "scores")
    windowed = True

    def __init__(
        self,
        info: Info,
        strides: Sequence[int] = (8, 16, 32, 64, 128),
        regress_range: float = 8.0,
        center_sampling_radius: float = 1.5,
        points: str = "middle",
        score_threshold: float = 0.2,
        nms: float = 0.6,
        pre_nms_top_k: int = 1000,
        max_detections: int = 100,
        prior: float = 0.01,
    ) -> None:
        choose("task.codec.points", points, POINTS)
        if len(strides) < 2 or min(strides) < 1 or any(b <= a for a, b in pairwise(strides)):
            raise UserError(f"task.codec.strides: {list(strides)}; give two or more, each larger than the one before")
        for name, value in (("pre_nms_top_k", pre_nms_top_k), ("max_detections", max_detections)):
            if value < 1:
                raise UserError(f"task.codec.{name}: {value}; give 1 or more")
        if not (regress_range > 0 and center_sampling_radius >= 0):
            raise UserError(
                f"task.codec: regress_range {regress_range}, center_sampling_radius {center_sampling_radius}; "
                "give strides: above 0, and 0 or more"
            )
        if not 0 <= score_threshold < 1:
            raise UserError(f"task.codec.score_threshold: {score_threshold}; give a number from 0 to below 1")
        if not 0 < prior < 1:
            raise UserError(f"task.codec.prior: {prior}; give a probability between 0 and 1")
        self.things = Things(info)
        self.strides, self.regress_range, self.center_sampling_radius, self.corner = (
            tuple(strides),
            regress_range,
            center_sampling_radius,
            points == "corner",
        )
        self.score_threshold, self.nms, self.pre_nms_top_k, self.max_detections = (
            score_threshold,
            require_fraction(nms, "task.codec.nms"),
            pre_nms_top_k,
            max_detections,
        )
        self.full = 0  # images with as many detections as `max_detections` lets through
        names = ("left", "top", "right", "bottom")
        self.heads = {
            "class": HeadSpec(len(self.things.classes), self.strides, prior=prior, names=self.things.names),
            "distances": HeadSpec(4, self.strides, positive=True, names=names),
            "centerness": HeadSpec(1, self.strides, prior=0.5),
        }

    def unused(self, settings: Mapping[str, Any]) -> dict[str, str]:
        return unused.targets("regress_range", "center_sampling_radius", "prior")

    def encode(self, truth: Annotation) -> dict[str, Tensor]:
        labelled = self.things.training_boxes(truth)
        boxes, channels = labelled.boxes, labelled.channels
        locations = pyramid_locations(truth.size, self.strides, self.corner, boxes.device)
        owner = assign(locations, boxes, self.regress_range, self.center_sampling_radius)
        positive = owner >= 0
        classes = torch.zeros(len(self.things.classes), len(owner), dtype=torch.bool, device=boxes.device)
        classes[channels[owner[positive]], positive.nonzero()[:, 0]] = True
        distances = boxes.new_zeros(4, len(owner))
        points, strides = locations.points[positive], locations.strides[positive]
        own = boxes[owner[positive]]
        distances[:, positive] = (torch.cat([points - own[:, :2], own[:, 2:] - points], 1) / strides[:, None]).T
        return {
            "class": classes,
            "class_weight": (positive | ~labelled.unlabelled(locations.points)).float(),
            "distances": distances,
            "distances_weight": positive.float(),
            "centerness": centerness(distances[None]),
            "centerness_weight": positive.float(),
        }

    def decode(
        self, outputs: Mapping[str, Tensor], frames: Sequence[Frame], align_corners: bool, probabilities: bool = False
    ) -> list[Annotation]:
        found = []
        for index, frame in enumerate(frames):
            one = {name: outputs[name][index].flatten(1) for name in self.heads}  # (C, L)
            locations = pyramid_locations(frame.input, self.strides, self.corner, one["class"].device)
            found.append(self._detect(one, locations, frame))
        return found

    def _detect(self, outputs: Mapping[str, Tensor], locations: Locations, frame: Frame) -> Annotation:
        scores, channels, index = self._candidates(outputs, locations)
        sides = outputs["distances"][:, index].T * locations.strides[index, None]
        points = locations.points[index]
        boxes = boxes_in_image(torch.cat([points - sides[:, :2], points + sides[:, 2:]], 1), frame)
        real = (boxes[:, 2:] > boxes[:, :2]).all(1)
        boxes, scores, channels = boxes[real], scores[real], channels[real]
        from torchvision.ops import batched_nms  # slow to import: not needed to train

        keep = batched_nms(boxes, scores, channels, self.nms)[: self.max_detections]
        self.full += len(keep) >= self.max_detections
        categories = self.things.categories(channels[keep])
        return Annotation(frame.size, boxes=boxes[keep], categories=categories, scores=scores[keep])

    def _candidates(self, outputs: Mapping[str, Tensor], locations: Locations) -> tuple[Tensor, Tensor, Tensor]:
        """Return scores, channels and location indices of the best candidates of each level, (N,) each."""
        scores, channels, index, start = [], [], [], 0
        parts = (outputs[name].split(locations.lengths, 1) for name in ("class", "centerness"))
        for logits, central in zip(*parts, strict=True):
            values = (logits.sigmoid() * central.sigmoid()).sqrt().flatten()
            above = (values > self.score_threshold).nonzero()[:, 0]
            best, order = values[above].topk(min(self.pre_nms_top_k, len(above)))
            scores.append(best)
            channels.append(above[order] // logits.shape[1])
            index.append(above[order] % logits.shape[1] + start)
            start += logits.shape[1]
        return torch.cat(scores), torch.cat(channels), torch.cat(index)

    def perfect_outputs(self, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        central = targets["centerness"].clamp(1e-6, 1 - 1e-6).logit()
        return {
            "class": (2 * targets["class"].float() - 1) * SURE,
            "distances": targets["distances"],
            "centerness": central,
        }

    def unflip(self, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Mirror every map and swap the left and right distances."""
        if self.corner:
            raise UserError("flip: with task.codec.points=corner locations have no mirror image; apply without flips")
        mirrored = {name: value.flip(-1) for name, value in outputs.items()}
        if "distances" in mirrored:
            mirrored["distances"] = mirrored["distances"][:, [2, 1, 0, 3]]
        return mirrored
