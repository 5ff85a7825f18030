"""Crops of single instances by their boxes, scaled to one size: the input of top-down networks (arXiv 1902.09212)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from densepred.ops.geometry.warp import Matrix, Warp
from densepred.types import Annotation, UserError

DEFAULT = (256, 192)
LEAST = 3  # joints that the extent of half a body is computed from


class Place(NamedTuple):
    """The region that fills the crop: its center, width and height, in pixels of the image."""

    x: float
    y: float
    width: float
    height: float


class InstanceCrop:
    """Crop an instance: its box, grown to the aspect ratio of `size` and scaled by `padding`, becomes the crop.

    The edges of the crop are those of the padded box. A box narrower than a pixel counts as one pixel wide.

    size: (height, width) of the crop.
    scale: the crop is enlarged by a factor from N(1, scale), clipped to one `scale` around 1.
    rotate, rotate_p: with probability `rotate_p` it is rotated by degrees from N(0, rotate), clipped to two `rotate`.
    half_body, half_body_joints, half_body_padding: with probability `half_body`, if more than `half_body_joints` joints
        are labelled, those of one half of the body, scaled by `half_body_padding`, replace the box.
    upper: probability that this half is the upper one. If the drawn half has too few joints, the other is taken.
    """

    def __init__(
        self,
        size: Sequence[int] | None = None,
        padding: float = 1.25,
        scale: float = 0.35,
        rotate: float = 45.0,
        rotate_p: float = 0.6,
        half_body: float = 0.3,
        half_body_joints: int = 8,
        half_body_padding: float = 1.5,
        upper: float = 0.7,
    ) -> None:
        if size is not None and (len(size) != 2 or min(size) < 2):
            raise UserError(f"instance_crop.size: {list(size)}; give [height, width] in pixels, or null for 256 x 192")
        if not padding > 0 or not half_body_padding > 0 or not 0 <= scale < 1:
            raise UserError(
                f"instance_crop: padding {padding}, half_body_padding {half_body_padding}, scale {scale}; give "
                "positive paddings and a scale from 0 to below 1"
            )
        self.size = DEFAULT if size is None else (int(size[0]), int(size[1]))
        self.padding, self.scale, self.rotate, self.rotate_p = padding, scale, rotate, rotate_p
        self.half_body, self.half_body_joints = half_body, half_body_joints
        self.half_body_padding, self.upper = half_body_padding, upper

    def instance_params(self, truth: Annotation, generator: Generator, lower: Sequence[int]) -> Warp:
        halved, half, turned = torch.rand(3, generator=generator, dtype=torch.float64).tolist()
        zoom, turn = torch.randn(2, generator=generator, dtype=torch.float64).tolist()
        place = None
        if halved < self.half_body:
            place = self._half(truth, lower, half < self.upper)
        place = self._whole(truth) if place is None else place
        factor = 1 + min(max(zoom, -1), 1) * self.scale
        angle = min(max(turn, -2), 2) * self.rotate if turned < self.rotate_p else 0.0
        return Warp(self._matrix(place, factor, math.radians(angle)), self.size)

    def _whole(self, truth: Annotation) -> Place:
        boxes = truth.need("boxes")
        assert len(boxes) == 1, "one instance at a time"
        x0, y0, x1, y1 = boxes[0].tolist()
        return Place((x0 + x1) / 2, (y0 + y1) / 2, *self._shaped(x1 - x0, y1 - y0, self.padding))

    def _half(self, truth: Annotation, lower: Sequence[int], upper: bool) -> Place | None:
        """Return the region of half a body; None if too few joints are labelled or no lower joints are known."""
        if truth.keypoints is None or len(truth.keypoints) == 0 or not lower:
            return None
        joints = truth.keypoints[0]
        known = joints[:, 2] > 0
        if int(known.sum()) <= self.half_body_joints:
            return None
        below = torch.zeros(len(joints), dtype=torch.bool)
        below[list(lower)] = True
        halves = [joints[known & ~below, :2], joints[known & below, :2]]
        for points in halves if upper else halves[::-1]:
            if len(points) >= LEAST:
                return self._around(points)
        return None

    def _around(self, points: Tensor) -> Place:
        x, y = points.mean(0).tolist()
        width, height = (points.amax(0) - points.amin(0)).tolist()
        return Place(x, y, *self._shaped(width, height, self.half_body_padding))

    def _shaped(self, width: float, height: float, padding: float) -> tuple[float, float]:
        aspect = self.size[1] / self.size[0]
        width, height = max(width, 1.0), max(height, 1.0)
        return padding * max(width, height * aspect), padding * max(height, width / aspect)

    def _matrix(self, place: Place, factor: float, angle: float) -> Matrix:
        """Return the map from pixels of the crop to those of the image: center, scale, rotate, move to the region."""
        unit = place.width * factor / self.size[1]
        cos, sin = unit * math.cos(angle), unit * math.sin(angle)
        x, y = (self.size[1] - 1) / 2, (self.size[0] - 1) / 2
        return (cos, -sin, place.x - cos * x + sin * y), (sin, cos, place.y - sin * x - cos * y)
