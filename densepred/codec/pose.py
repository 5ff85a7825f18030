"""Top-down pose: the keypoints of one instance from one heat map each (arXiv 1804.06208, 1902.09212)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from densepred.codec import unused
from densepred.contracts import Codec
from densepred.nn import ceil_div, choose, require_at_least_zero, require_fraction
from densepred.ops.heatmap.gaussian import heatmaps
from densepred.ops.heatmap.subpixel import dark, highest, quarter, udp
from densepred.ops.pose.left_right import mirror_order
from densepred.ops.pose.oks_nms import suppress
from densepred.ops.resize.resample import resize
from densepred.types import Annotation, Frame, HeadSpec, Info, UserError

DECODES = ("argmax", "quarter", "dark", "udp")
GEOMETRIES = ("cells", "published", "udp")
REACH = 3.0  # sigmas; beyond them a Gaussian is 0
UNKNOWN_SIGMA = 0.05  # of OKS, if the dataset gives none


class Pose(Codec):
    """Head `heatmap`: one map per keypoint at `stride`, with a Gaussian of `sigma` locations at the keypoint.

    Keypoints that are not labelled, or outside the crop, have no weight; those labelled as hidden weigh `occluded`.
    The score of a person is the mean heat of its keypoints above `joint_threshold`, times the score of a detected box.

    quantised: place Gaussians on the nearest location, as the published programs do.
    geometry: the pixel of location i of n in an input of m pixels. "cells": the center of its pixels, at
        stride * i + (stride - 1) / 2; "published": stride * i; "udp": i * (m - 1) / (n - 1). If m is stride * n,
        "cells" and "udp" mirror exactly. null is "udp" if `decode` is, otherwise "cells".
    decode: "argmax": the highest location; "quarter": a quarter of a location towards its higher neighbours; "dark"
        and "udp": between locations, by the logarithm of the blurred map.
    blur: side of that blur in locations (null: 6 sigma - 1). Only with "published" are maps blurred near the border:
        there a blur moves keypoints inwards.
    shift_heatmap: move mirrored maps right by one location before averaging, for "published".
    nms: of detected people with a similarity (OKS) above this, keep the best.
    """

    required = ("keypoints", "boxes")
    predicts = ("keypoints", "scores", "boxes")
    top_down = True

    def __init__(
        self,
        info: Info,
        stride: int = 4,
        sigma: float = 2.0,
        quantised: bool = False,
        geometry: str | None = None,
        decode: str = "dark",
        blur: int | None = None,
        shift_heatmap: bool = False,
        occluded: float = 1.0,
        joint_threshold: float = 0.2,
        nms: float = 0.9,
    ) -> None:
        choose("task.codec.decode", decode, DECODES)
        self.geometry = geometry or ("udp" if decode == "udp" else "cells")
        choose("task.codec.geometry", self.geometry, GEOMETRIES)
        if not info.keypoints:
            raise UserError("task.codec: the dataset names no keypoints; choose another task or dataset")
        if stride < 1 or not sigma > 0:
            raise UserError(
                f"task.codec: stride {stride}, sigma {sigma}; give a stride of at least 1 and a sigma above 0"
            )
        self.blur = max(1, 2 * round(3 * sigma) - 1) if blur is None else blur
        if self.blur < 1 or self.blur % 2 == 0:
            raise UserError(f"task.codec.blur: {blur}; give an odd number, 1 for none")
        self.stride, self.sigma, self.quantised, self.refinement = stride, sigma, quantised, decode
        self.shift_heatmap, self.occluded = shift_heatmap, require_at_least_zero(occluded, "task.codec.occluded")
        self.joint_threshold = require_fraction(joint_threshold, "task.codec.joint_threshold")
        self.nms = require_fraction(nms, "task.codec.nms")
        self.sigmas = info.sigmas or (UNKNOWN_SIGMA,) * len(info.keypoints)
        self.mirror = mirror_order(info.mirrored or (), len(info.keypoints))
        self.heads = {"heatmap": HeadSpec(len(info.keypoints), (stride,), names=info.keypoints)}

    def unused(self, settings: Mapping[str, Any]) -> dict[str, str]:
        found = unused.targets("quantised", "occluded")
        if settings["blur"] is not None:
            found["sigma"] = "blur replaces it"
        plain = ("blur", "sigma") if settings["decode"] in ("argmax", "quarter") else ()
        return found | dict.fromkeys(plain, "only decode=dark and udp blur maps")

    def encode(self, truth: Annotation) -> dict[str, Tensor]:
        people = truth.need("keypoints")
        assert len(people) <= 1, "one instance at a time"
        count = self.heads["heatmap"].channels
        size = self._size(truth.size)
        joints = people[0] if len(people) else torch.zeros(count, 3)  # the crop may hold no instance
        (kinds,) = (joints[:, 2] > 0).nonzero(as_tuple=True)
        locations = self._locations(joints[kinds, :2], truth.size)
        locations = (locations + 0.5).floor() if self.quantised else locations
        weight = torch.where(joints[:, 2] == 1, self.occluded, (joints[:, 2] > 0).float())
        return {
            "heatmap": heatmaps(locations, kinds, count, size, self.sigma, REACH),
            "heatmap_weight": weight[:, None, None],
        }

    def _size(self, shown: tuple[int, int]) -> tuple[int, int]:
        """Return the size of the map of an input."""
        return ceil_div(shown[0], self.stride), ceil_div(shown[1], self.stride)

    def _grid(self, shown: tuple[int, int], like: Tensor) -> tuple[Tensor, float]:
        """Return the pixels between locations along x and y, and the pixel of the first location."""
        steps = [float(self.stride)] * 2
        if self.geometry == "udp":
            steps = [(m - 1) / max(n - 1, 1) for m, n in zip(shown[::-1], self._size(shown)[::-1], strict=True)]
        first = (self.stride - 1) / 2 if self.geometry == "cells" else 0.0
        return like.new_tensor(steps), first

    def _locations(self, pixels: Tensor, shown: tuple[int, int]) -> Tensor:
        steps, first = self._grid(shown, pixels)
        return (pixels - first) / steps.clamp_min(1e-6)  # a map of one location and one pixel has a step of 0

    def decode(
        self, outputs: Mapping[str, Tensor], frames: Sequence[Frame], align_corners: bool, probabilities: bool = False
    ) -> list[Annotation]:
        shown = frames[0].input  # crops have one size
        heat = resize(outputs["heatmap"], self._size(shown), align_corners)  # models may be coarser
        confidence, locations = highest(heat)
        steps, first = self._grid(shown, heat)
        pixels = self._refined(heat, locations) * steps + first
        matrix = heat.new_tensor([frame.matrix for frame in frames])  # (B, 2, 3)
        points = pixels @ matrix[:, :, :2].mT + matrix[:, None, :, 2]
        seen = confidence > 0
        keypoints = torch.cat([torch.where(seen[..., None], points, 0.0), confidence.clamp_min(0)[..., None]], -1)
        sure = confidence > self.joint_threshold
        scores = (confidence * sure).sum(1) / sure.sum(1).clamp_min(1)
        areas = torch.linalg.det(matrix[:, :, :2]).abs() * (shown[0] * shown[1])  # of the crops
        rows = zip(keypoints.split(1), scores.split(1), areas.split(1), frames, strict=True)
        return [Annotation(frame.size, keypoints=k, scores=s, areas=a) for k, s, a, frame in rows]

    def _refined(self, heat: Tensor, locations: Tensor) -> Tensor:
        everywhere = self.geometry == "published"
        match self.refinement:
            case "argmax":
                return locations
            case "quarter":
                return quarter(heat, locations)
            case "dark":
                return dark(heat, locations, self.blur, everywhere)
        return udp(heat, locations, self.blur, everywhere)

    def merge_instances(self, found: Sequence[Annotation], frames: Sequence[Frame], given: Annotation) -> Annotation:
        boxes = given.need("boxes")
        device = found[0].keypoints.device if found and found[0].keypoints is not None else boxes.device
        rows = torch.tensor([frame.instance for frame in frames], dtype=torch.long, device=device)
        each = {name: [getattr(one, name) for one in found] for name in ("keypoints", "scores", "areas")}
        shapes = {"keypoints": (0, len(self.sigmas), 3), "scores": (0,), "areas": (0,)}
        flat = {name: torch.cat([torch.zeros(shapes[name], device=device), *values]) for name, values in each.items()}
        boxes = boxes.to(device)
        categories = None if given.categories is None else given.categories.to(device)
        if given.scores is not None:
            scores = flat["scores"] * given.scores.to(device)[rows]
            sigmas = scores.new_tensor(self.sigmas)
            kept = suppress(flat["keypoints"], scores, flat["areas"], sigmas, self.nms)
            rows, joints, scores = rows[kept], flat["keypoints"][kept], scores[kept]
            return Annotation(
                given.size,
                keypoints=joints,
                scores=scores,
                boxes=boxes[rows],
                categories=None if categories is None else categories[rows],
            )
        joints = torch.zeros(len(boxes), len(self.sigmas), 3, device=device).index_copy(0, rows, flat["keypoints"])
        scores = torch.zeros(len(boxes), device=device).index_copy(0, rows, flat["scores"])
        return Annotation(given.size, keypoints=joints, scores=scores, boxes=boxes, categories=categories)

    def perfect_outputs(self, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {"heatmap": targets["heatmap"]}

    def unflip(self, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Mirror the maps and swap those of left and right keypoints."""
        heat = outputs["heatmap"].flip(-1)[:, list(self.mirror)]
        if self.shift_heatmap:
            heat = torch.cat([heat[..., :1], heat[..., :-1]], -1)
        return {"heatmap": heat}
