"""Multi-person pose from keypoint maps and part affinity fields (OpenPose, arXiv 1611.08050)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from densepred.codec import unused
from densepred.codec.skeleton import Skeleton, skeleton
from densepred.contracts import Codec
from densepred.nn import require_at_least_zero, require_fraction
from densepred.ops.boxes.assign import level_shapes
from densepred.ops.heatmap.candidates import Candidates, candidates
from densepred.ops.heatmap.gaussian import heatmaps
from densepred.ops.pose.fields import part_affinity_fields
from densepred.ops.pose.grouping import GENEROUS, Rules, group
from densepred.ops.resize.resample import resize
from densepred.types import Annotation, Frame, HeadSpec, Info, UserError

REACH = 3.0348  # sigmas from its center at which a Gaussian has 1 % of its height

THRESHOLDS = ("peak", "dot", "ratio", "parts", "score_threshold")


class OpenPose(Codec):
    """Heads `paf`, x and y of the direction of each limb, and `heatmap`, one map per joint and one of the background.

    Both are at `stride`. If people overlap, heat maps hold the largest Gaussian and fields the mean direction; the
    background is 1 minus the largest. Pixels that the ground truth marks as `ignore` have no weight. Predictions have
    the dataset's keypoints. The score of a person is the sum of the scores of joints and limbs, divided by their number
    in a complete person.

    sigma, width: of the Gaussians, and half the width of a limb, both in input pixels.
    limbs: "dataset", or "openpose" for its 19 limbs over 18 joints, with the channels of the published model.
    neck: add a neck, midway between the shoulders, to the dataset's joints.
    max_detections, peak: try at most `max_detections` candidates per heat map, those above `peak`.
    dot, ratio, parts, score_threshold: thresholds of a limb and of a person, see `ops.pose.grouping.Rules`.
    maximize_positives: replace these five thresholds by the lower ones of the authors' program.
    enlarge: enlarge heat maps by this factor before their peaks are located.
    """

    required = ("keypoints",)
    predicts = ("keypoints", "scores")

    def __init__(
        self,
        info: Info,
        stride: int = 8,
        sigma: float = 7.0,
        width: float = 8.0,
        limbs: str = "dataset",
        neck: bool = False,
        peak: float = 0.05,
        dot: float = 0.05,
        ratio: float = 0.95,
        parts: int = 3,
        score_threshold: float = 0.4,
        maximize_positives: bool = False,
        max_detections: int = 127,
        enlarge: int = 1,
    ) -> None:
        for name, value in (
            ("stride", stride),
            ("max_detections", max_detections),
            ("enlarge", enlarge),
            ("parts", parts),
        ):
            if value < 1:
                raise UserError(f"task.codec.{name}: {value}; give 1 or more")
        for name, length in (("sigma", sigma), ("width", width)):
            if not length > 0:
                raise UserError(f"task.codec.{name}: {length}; give pixels, more than 0")
        for name, share in (("peak", peak), ("dot", dot), ("ratio", ratio)):
            require_fraction(share, f"task.codec.{name}")
        require_at_least_zero(score_threshold, "task.codec.score_threshold")
        self.skeleton = skeleton(info, limbs, neck)
        self.keypoints = len(info.keypoints)
        self.stride, self.sigma, self.width = stride, sigma, width
        self.rules = GENEROUS if maximize_positives else Rules(peak, dot, ratio, parts, score_threshold)
        self.max_detections, self.enlarge = max_detections, enlarge
        self.full = 0  # images with as many candidates of a joint as `max_detections` lets through
        self.heads = {
            "paf": HeadSpec(2 * len(self.skeleton.limbs), (stride,), names=_limb_names(self.skeleton)),
            "heatmap": HeadSpec(len(self.skeleton.names) + 1, (stride,), names=(*self.skeleton.names, "background")),
        }

    def unused(self, settings: Mapping[str, Any]) -> dict[str, str]:
        found = unused.targets("width")
        if settings["maximize_positives"]:
            found |= dict.fromkeys(THRESHOLDS, "maximize_positives=true replaces it")
        return found | ({"neck": "limbs=openpose has a neck already"} if settings["limbs"] == "openpose" else {})

    def encode(self, truth: Annotation) -> dict[str, Tensor]:
        size = -(-truth.size[0] // self.stride), -(-truth.size[1] // self.stride)
        keypoints = truth.need("keypoints")
        people = keypoints if truth.crowd is None else keypoints[~truth.crowd]
        joints = self.skeleton.joints(people)
        weight = self._weight(truth, size)
        return {
            "paf": self._fields(joints, size),
            "paf_weight": weight,
            "heatmap": self._maps(joints, size),
            "heatmap_weight": weight,
        }

    def _locations(self, points: Tensor) -> Tensor:
        """Return locations of the maps from input pixels: location i is the center of its `stride` pixels."""
        return (points - (self.stride - 1) / 2) / self.stride

    def _maps(self, joints: Tensor, size: tuple[int, int]) -> Tensor:
        people, kinds = (joints[..., 2] > 0).nonzero(as_tuple=True)
        points = self._locations(joints[people, kinds, :2])
        maps = heatmaps(points, kinds, joints.shape[1], size, self.sigma / self.stride, REACH)
        return torch.cat([maps, 1 - maps.amax(0, keepdim=True)])

    def _fields(self, joints: Tensor, size: tuple[int, int]) -> Tensor:
        limbs = torch.tensor(self.skeleton.limbs, device=joints.device)
        ends = joints[:, limbs]  # (N, L, 2, 3)
        people, which = (ends[..., 2] > 0).all(-1).nonzero(as_tuple=True)
        points = self._locations(ends[people, which, :, :2])
        return part_affinity_fields(points[:, 0], points[:, 1], which, len(limbs), size, self.width / self.stride)

    def _weight(self, truth: Annotation, size: tuple[int, int]) -> Tensor:
        """Return the weight (h, w), 0 where at least half of the pixels of a location are to be ignored."""
        if truth.ignore is None:
            return torch.ones(size, device=None if truth.keypoints is None else truth.keypoints.device)
        ignored = F.avg_pool2d(truth.ignore[None, None].float(), self.stride, ceil_mode=True)
        return (ignored[0, 0] < 0.5).float()

    def decode(
        self, outputs: Mapping[str, Tensor], frames: Sequence[Frame], align_corners: bool, probabilities: bool = False
    ) -> list[Annotation]:
        step = self.stride
        found = []
        for index, frame in enumerate(frames):
            grid = level_shapes(frame.input, (step,))[0]
            one, paf = (resize(outputs[name][index, None], grid, align_corners) for name in ("heatmap", "paf"))
            one = one[:, :-1]
            if self.enlarge > 1:  # one image at a time: enlarged maps are large
                one = F.interpolate(one, scale_factor=self.enlarge, mode="bicubic")
            (joints,) = candidates(one, self.max_detections, self.rules.peak, self.sigma * self.enlarge / step)
            self.full += int(joints.kinds.bincount(minlength=1).max()) >= self.max_detections
            points = (joints.points - (self.enlarge - 1) / 2) / self.enlarge
            found.append(self._people(joints._replace(points=points), paf[0], frame))
        return found

    def _people(self, joints: Candidates, paf: Tensor, frame: Frame) -> Annotation:
        limbs = torch.tensor(self.skeleton.limbs, device=paf.device)
        people = group(joints, paf, limbs, len(self.skeleton.names), self.stride, self.rules)
        pixels = joints.points * self.stride + (self.stride - 1) / 2
        matrix = pixels.new_tensor(frame.matrix)
        placed = torch.cat([pixels @ matrix[:, :2].T + matrix[:, 2], joints.scores[:, None]], 1)
        placed = torch.cat([placed, placed.new_zeros(1, 3)])  # the last row stands for missing joints
        return Annotation(
            frame.size,
            keypoints=self.skeleton.keypoints(placed[people.members], self.keypoints),
            scores=people.scores,
        )

    def perfect_outputs(self, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: targets[name] for name in self.heads}

    def unscale(self, outputs: Mapping[str, Tensor], factor: float) -> dict[str, Tensor]:
        """Return heat maps and directions as they are: neither depends on the size of the image."""
        return dict(outputs)

    def unflip(self, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Mirror both heads: swap left and right, and negate the x of directions."""
        if not self.skeleton.limb_mirror:
            raise UserError("flip: some limbs have no mirror image among the limbs; apply the model without flips")
        background = len(self.skeleton.names)
        heat = outputs["heatmap"].flip(-1)[:, [*self.skeleton.mirror, background]]
        order, signs = zip(*self.skeleton.limb_mirror, strict=True)
        paf = outputs["paf"].flip(-1).unflatten(1, (-1, 2))[:, list(order)]
        turn = torch.tensor([[-sign, sign] for sign in signs], dtype=paf.dtype, device=paf.device)
        return {"paf": (paf * turn[..., None, None]).flatten(1, 2), "heatmap": heat}


def _limb_names(skeleton: Skeleton) -> tuple[str, ...]:
    """Return the names of the channels of the affinity fields: x and y of each limb, from its first joint."""
    ends = [(skeleton.names[a], skeleton.names[b]) for a, b in skeleton.limbs]
    return tuple(f"{a} to {b} {axis}" for a, b in ends for axis in "xy")
