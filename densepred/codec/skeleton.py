"""The joints and limbs that OpenPose groups into people: those of the dataset, or its own 18 and 19."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from densepred.nn import choose
from densepred.ops.pose.left_right import mirror_order
from densepred.types import Info, UserError

SOURCES = ("dataset", "openpose")
SHOULDERS = ("left_shoulder", "right_shoulder")
OPENPOSE = (
    "nose",
    "neck",
    "right_shoulder",
    "right_elbow",
    "right_wrist",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
    "right_hip",
    "right_knee",
    "right_ankle",
    "left_hip",
    "left_knee",
    "left_ankle",
    "right_eye",
    "left_eye",
    "right_ear",
    "left_ear",
)
"""Joints of the heat maps of the COCO model of arXiv 1611.08050, in the order of channels."""

OPENPOSE_LIMBS = (
    (1, 8),
    (8, 9),
    (9, 10),
    (1, 11),
    (11, 12),
    (12, 13),
    (1, 2),
    (2, 3),
    (3, 4),
    (2, 16),
    (1, 5),
    (5, 6),
    (6, 7),
    (5, 17),
    (1, 0),
    (0, 14),
    (0, 15),
    (14, 16),
    (15, 17),
)
"""Limbs of its affinity fields: limb l has the channels 2 l and 2 l + 1."""


@dataclass(frozen=True, slots=True)
class Skeleton:
    """Joints and limbs of a network, and their keypoints in the dataset."""

    names: tuple[str, ...]
    sources: tuple[int, ...]  # the keypoint of the dataset that each joint is, -1 for an added neck
    shoulders: tuple[int, int] | None  # keypoints of the dataset, for the neck
    limbs: tuple[tuple[int, int], ...]
    mirror: tuple[int, ...]  # the joint that each one becomes in a mirror image
    limb_mirror: tuple[tuple[int, int], ...]  # the limb that each one becomes, and -1 if reversed

    def joints(self, keypoints: Tensor) -> Tensor:
        """Return joints (N, J, 3) of keypoints (N, K, 3); an added neck is labelled if both shoulders are."""
        padded = keypoints
        if self.shoulders is not None:
            pair = keypoints[:, list(self.shoulders)]
            neck = torch.cat([pair[..., :2].mean(1), pair[..., 2:].amin(1)], 1)
            padded = torch.cat([keypoints, neck[:, None]], 1)
        return padded[:, list(self.sources)]

    def keypoints(self, joints: Tensor, count: int) -> Tensor:
        """Return the dataset's keypoints (N, count, 3) of joints (N, J, 3), without an added neck."""
        out = joints.new_zeros(len(joints), count, 3)
        own = [i for i, source in enumerate(self.sources) if source >= 0]
        out[:, [self.sources[i] for i in own]] = joints[:, own]
        return out


def skeleton(info: Info, limbs: str, neck: bool) -> Skeleton:
    """Return OpenPose's skeleton, or that of a dataset, with a `neck` between the shoulders if it has none."""
    choose("task.codec.limbs", limbs, SOURCES)
    if not info.keypoints:
        raise UserError("task.codec: the dataset names no keypoints; choose another task or dataset")
    if limbs == "openpose":
        return _make(info, OPENPOSE, OPENPOSE_LIMBS)
    if not info.limbs:
        raise UserError(
            "the dataset names no limbs, which join keypoints to people; give the category a skeleton, or, for "
            "COCO's keypoints, set task.codec.limbs=openpose"
        )
    names = info.keypoints
    if neck and "neck" not in names:
        pair = [names.index(one) for one in _shoulders(info)]
        joined = len(names)
        return _make(info, (*names, "neck"), (*info.limbs, *((joined, one) for one in pair)))
    return _make(info, names, info.limbs)


def _make(info: Info, names: Sequence[str], limbs: Sequence[tuple[int, int]]) -> Skeleton:
    made = "neck" in names and "neck" not in info.keypoints
    if missing := sorted(set(names) - set(info.keypoints) - ({"neck"} if made else set())):
        raise UserError(
            f"task.codec.limbs=openpose: the dataset has no keypoint {', '.join(missing)}; set task.codec.limbs=dataset"
        )
    left, right = _shoulders(info) if made else (None, None)
    shoulders = (info.keypoints.index(left), info.keypoints.index(right)) if left and right else None
    sources = tuple(info.keypoints.index(name) if name in info.keypoints else -1 for name in names)
    mirror = _mirror(info, sources)
    return Skeleton(tuple(names), sources, shoulders, tuple(limbs), mirror, _limb_mirror(limbs, mirror))


def _shoulders(info: Info) -> tuple[str, str]:
    if missing := [name for name in SHOULDERS if name not in info.keypoints]:
        raise UserError(f"task.codec.neck: the dataset has no keypoint {missing[0]}; set task.codec.neck=false")
    return SHOULDERS


def _mirror(info: Info, sources: Sequence[int]) -> tuple[int, ...]:
    """Return the joint that each one becomes in a mirror image; an added neck has no source and stays."""
    order = mirror_order(info.mirrored or (), len(info.keypoints))
    return tuple(i if s < 0 else sources.index(order[s]) for i, s in enumerate(sources))


def _limb_mirror(limbs: Sequence[tuple[int, int]], mirror: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Return (limb, sign) per limb: the limb that becomes it in a mirror image, and -1 if that one is reversed."""
    places = {limb: i for i, limb in enumerate(limbs)}
    found = []
    for a, b in limbs:
        straight, turned = places.get((mirror[a], mirror[b])), places.get((mirror[b], mirror[a]))
        if straight is not None:
            found.append((straight, 1))
        elif turned is not None:
            found.append((turned, -1))
    return tuple(found) if len(found) == len(limbs) else ()
