"""Cut an instance out by its box, scaled to one size: what top-down networks see. https://arxiv.org/abs/1902.09212"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from densepred.ops.geometry.warp import Matrix, Warp
from densepred.types import Annotation, UserError

DEFAULT = (256, 192)
LEAST = 3  # joints of half a body that say how large it is


class Place(NamedTuple):
    """What is to fill the picture: its center, width and height, in pixels of the image."""

    x: float
    y: float
    width: float
    height: float


class InstanceCrop:
    """The box, made as wide to high as `size` by growing one side, times `padding`, becomes a picture of `size`.

    The edges of the picture are those of the padded box, so a pixel's center has one exact place in the image. A box
    narrower than a pixel counts as a pixel wide.

    Random are: a factor drawn from N(1, `scale`), within one `scale` of 1; with probability `rotate_p` degrees drawn
    from N(0, `rotate`), within two `rotate` of 0; and with probability `half_body`, where more than `half_body_joints`
    are labelled, the joints of one half of the body times `half_body_padding` in place of the box: those of the upper
    half with probability `upper`, or where the lower has too few.
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
            raise UserError(f"instance crop size {list(size)}: give [height, width] in pixels, or null for 256 x 192")
        if not padding > 0 or not half_body_padding > 0 or not 0 <= scale < 1:
            raise UserError(
                f"instance crop padding={padding} half_body_padding={half_body_padding} scale={scale}: give positive "
                "paddings and a scale from 0 to below 1"
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
        """The place of half a body; None where too little of it is labelled, or nobody knows which half is which."""
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
        """From pixels of the picture to those of the image: to its middle, enlarge and turn, to the place."""
        unit = place.width * factor / self.size[1]
        cos, sin = unit * math.cos(angle), unit * math.sin(angle)
        x, y = (self.size[1] - 1) / 2, (self.size[0] - 1) / 2
        return (cos, -sin, place.x - cos * x + sin * y), (sin, cos, place.y - sin * x - cos * y)
