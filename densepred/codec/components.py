"""Instances as connected components of the foreground, with the border weights of the first U-Net."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from densepred.codec import unused
from densepred.codec.blockwise import Blocks
from densepred.codec.class_map import ClassMap
from densepred.codec.framing import check_whole
from densepred.contracts import Codec
from densepred.nn import choose
from densepred.ops.boxes import from_ids
from densepred.ops.regions.components import components, small_holes, without_small
from densepred.ops.regions.gaps import close, touching
from densepred.ops.regions.watershed import split_components
from densepred.ops.resize import resample
from densepred.types import VOID, Annotation, Frame, Info, UserError

SPLITS = ("none", "distance")


class Components(Codec):
    """Head `semantic` as in the semantic codec; each connected component of a thing in it is an instance.

    Things are those of the dataset; if it names none, all classes except the first. A pixel is foreground if the
    probabilities of all things add up to at least `threshold`. The score of an instance is the mean probability of its
    class over its pixels.

    border: settings of `BorderWeights`, which become the weight of the head.
    gap: if above 0, targets have 2 `gap` pixels of the first class that is no thing between instances that touch.
        Decoding closes the gaps between predicted instances again.
    connectivity: 4 connects pixels by their sides, 8 also by their corners.
    holes: fill holes of at most this many pixels.
    min_area: drop components of fewer pixels, which are noise at the threshold more often than objects.
    split: "distance" cuts components at their necks; `smooth`, `split_ratio` (its `neck`) and `depth` are those of
        `ops.regions.watershed.split_components`.
    """

    def __init__(
        self,
        info: Info,
        sigmoid: bool = False,
        border: Mapping[str, Any] | None = None,
        gap: int = 0,
        threshold: float = 0.5,
        connectivity: int = 4,
        holes: int = 0,
        min_area: int = 5,
        split: str = "none",
        smooth: float = 1.0,
        split_ratio: float = 0.9,
        depth: float = 1.0,
        distance: bool = False,
    ) -> None:
        self.map = ClassMap(info, sigmoid, border, distance, "instances need background and one more")
        _check(gap, threshold, connectivity, holes, min_area, smooth, split_ratio, depth)
        choose("task.codec.split", split, SPLITS)
        self.things = info.things or tuple(range(1, self.map.classes))
        self.others = tuple(index for index in range(self.map.classes) if index not in self.things)
        self.heads = {"semantic": self.map.spec}
        if gap and not self.others:
            raise UserError(f"task.codec.gap: {gap}: every class is a thing, so no class is left to fill gaps; set 0")
        self.gap = gap
        self.required = ("semantic", "instances") if gap else ("semantic",)
        self.predicts = ("semantic", "instances", "categories", "scores", "boxes", "areas")
        self.threshold, self.connectivity, self.holes, self.min_area = threshold, connectivity, holes, min_area
        self.split, self.smooth, self.split_ratio, self.depth = split, smooth, split_ratio, depth

    def unused(self, settings: Mapping[str, Any]) -> dict[str, str]:
        split = ("smooth", "split_ratio", "depth") if settings["split"] == "none" else ()
        return {**unused.targets("border", "distance"), **dict.fromkeys(split, "only split=distance uses it")}

    def encode(self, truth: Annotation) -> dict[str, Tensor]:
        return self.map.targets(self._with_gaps(truth))

    def _with_gaps(self, truth: Annotation) -> Annotation:
        """Return the ground truth with gaps, so that no two instances touch."""
        if not self.gap or truth.instances is None or truth.semantic is None:
            return truth
        cut = touching(truth.instances, self.gap)
        return replace(
            truth,
            semantic=truth.semantic.masked_fill(cut, self.others[0]),
            instances=truth.instances.masked_fill(cut, 0),
        )

    def with_distance_maps(self, head: str) -> None:
        self.map.distance = True

    def decode(
        self, outputs: Mapping[str, Tensor], frames: Sequence[Frame], align_corners: bool, probabilities: bool = False
    ) -> list[Annotation]:
        found = []
        for logits, frame in zip(outputs["semantic"].split(1), frames, strict=True):
            check_whole(frame)
            class_probabilities = resample.resize(resample.two_channels(logits), frame.size, align_corners).softmax(1)[
                0
            ]
            found.append(self._instances(class_probabilities, frame.size))
            if probabilities:
                found[-1].probabilities = class_probabilities
        return found

    def blocks(self, size: tuple[int, int]) -> Blocks:
        """Return margins that no hole, gap or component to drop can cross; necks and gaps depend on whole instances."""
        any_size = self.split == "none" and not self.gap
        return Blocks(self, max(self.min_area, self.holes + 1, 4 * self.gap), any_size=any_size)

    def perfect_outputs(self, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {"semantic": self.map.perfect_logits(targets["semantic"])}

    def _instances(self, probabilities: Tensor, size: tuple[int, int]) -> Annotation:
        """Return the instances of one image from its probabilities (K, H, W)."""
        device, probabilities = probabilities.device, probabilities.cpu()
        things, labels = self._labels(probabilities)
        ids = np.zeros(size, np.int32)
        categories: list[int] = []
        for kind in self.things:
            parts, count = self._parts(things, kind)
            np.add(parts, len(categories), out=ids, where=parts > 0)
            categories += [kind] * count
        if self.gap:
            ids = close(ids, self.gap)

        # Visit only the pixels of instances again: an image may have many millions
        inside = np.flatnonzero(ids)
        owner = ids.reshape(-1)[inside] - 1
        kinds = np.array(categories, np.int64)
        labels.reshape(-1)[inside] = kinds[owner]
        probability = probabilities.flatten(1).numpy()[kinds[owner], inside]
        areas = np.bincount(owner, minlength=len(kinds))
        instances = torch.from_numpy(ids)
        return Annotation(
            size,
            semantic=torch.from_numpy(labels).to(device),
            instances=instances.to(device),
            categories=torch.from_numpy(kinds).to(device),
            scores=torch.from_numpy(np.bincount(owner, probability, len(kinds)) / areas).float().to(device),
            boxes=from_ids.boxes(instances, len(kinds)).to(device),
            areas=torch.from_numpy(areas).float().to(device),
        )

    def _labels(self, probabilities: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Return the thing of each pixel, VOID if none, and its likeliest class that is no thing; (H, W) uint8 each.

        If every class is a thing, both are the same: pixels of a dropped component keep their class.
        """
        best = _likeliest(probabilities, self.things)
        if not self.others:
            return best.numpy(), best.numpy().copy()
        total = sum((probabilities[kind] for kind in self.things[1:]), probabilities[self.things[0]])
        best.masked_fill_(~(total >= self.threshold), VOID)
        return best.numpy(), _likeliest(probabilities, self.others).numpy()

    def _parts(self, things: np.ndarray, kind: int) -> tuple[np.ndarray, int]:
        """Return the instances of one class, (H, W) int32 from 1, and their number; filled holes go to `things`."""
        mask = things == kind
        if not mask.any():
            return np.zeros(mask.shape, np.int32), 0
        if self.holes:
            filled = mask | small_holes(mask, self.connectivity, self.holes) & (things == VOID)
            parts, count = components(filled, self.connectivity)
            # A hole of another thing that stands in this one's hole is an island here: it is left to that thing.
            parts[np.bincount(parts[mask], minlength=count + 1)[parts] == 0] = 0
            things[parts > 0] = kind
        else:
            parts, _ = components(mask, self.connectivity)
        if self.split == "distance":
            parts = split_components(parts, self.smooth, self.split_ratio, self.depth)
        return without_small(parts, self.min_area)


def _likeliest(probabilities: Tensor, classes: Sequence[int]) -> Tensor:
    """Return the likeliest of these classes, (H, W) uint8, without the eight bytes per pixel of argmax."""
    top = probabilities[classes[0]]
    winner = torch.full(top.shape, classes[0], dtype=torch.uint8)
    for kind in classes[1:]:
        winner.masked_fill_(probabilities[kind] > top, kind)
        top = torch.maximum(top, probabilities[kind])
    return winner


def _check(
    gap: int,
    threshold: float,
    connectivity: int,
    holes: int,
    min_area: int,
    smooth: float,
    split_ratio: float,
    depth: float,
) -> None:
    for name, share in (("threshold", threshold), ("split_ratio", split_ratio)):
        if not 0 < share <= 1:
            raise UserError(f"task.codec.{name}: {share}; give a number above 0 and at most 1")
    for name, value in (("gap", gap), ("holes", holes), ("smooth", smooth), ("depth", depth)):
        if not value >= 0:
            raise UserError(f"task.codec.{name}: {value}; give pixels, 0 or more")
    if min_area < 1:
        raise UserError(f"task.codec.min_area: {min_area}; give pixels, 1 or more")
    if connectivity not in (4, 8):
        raise UserError(f"task.codec.connectivity: {connectivity}; give 4 or 8")
