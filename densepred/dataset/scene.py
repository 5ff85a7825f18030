"""Drawing by signed distances, with exact labels: the canvas and the forms of `shapes.py`.

Distances are in pixels, negative inside; pixel centers are integers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
Distance = Callable[[Array, Array], Array]
"""Signed distance at x (1, w) and y (h, 1)."""


@dataclass(frozen=True, slots=True)
class Form:
    """Area of a shape: `distance` is positive farther than `reach` from the center (x, y)."""

    distance: Distance
    center: tuple[float, float]
    reach: float


class Canvas:
    """An image (3, H, W) in [0, 1] with its class map and map of instance ids, painted back to front."""

    def __init__(self, ground: Array) -> None:
        self.image = ground
        self.semantic = np.zeros(ground.shape[1:], np.uint8)
        self.instances = np.zeros(ground.shape[1:], np.int32)

    def paint(self, form: Form, category: int, instance: int, colour: Array, texture: Array) -> None:
        """Paint a form: labels are exact at pixel centers, the image is blended over one pixel at an edge.

        colour: (3,) in [0, 1]
        texture: (3,), the wave numbers in x and y, and the strength, of stripes
        """
        rows, columns = (self._window(form, axis) for axis in (1, 0))
        if rows.start >= rows.stop or columns.start >= columns.stop:
            return
        y = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None]
        x = np.arange(columns.start, columns.stop, dtype=np.float32)[None]
        distance = form.distance(x, y)
        cover = np.clip(0.5 - distance, 0, 1)
        stripes = 1 + texture[2] * np.sin(texture[0] * x + texture[1] * y)
        part = self.image[:, rows, columns]
        part += cover * (colour[:, None, None] * stripes - part)
        inside = distance < 0
        self.semantic[rows, columns][inside] = category
        self.instances[rows, columns][inside] = instance

    def _window(self, form: Form, axis: int) -> slice:
        low, high = form.center[axis] - form.reach - 1, form.center[axis] + form.reach + 2
        length = self.semantic.shape[1 - axis]
        return slice(min(max(int(low), 0), length), min(max(int(high) + 1, 0), length))


def disc(x: float, y: float, radius: float) -> Form:
    return Form(lambda u, v: np.hypot(u - x, v - y) - radius, (x, y), radius)


def ring(x: float, y: float, radius: float, width: float) -> Form:
    half = width / 2
    return Form(lambda u, v: np.abs(np.hypot(u - x, v - y) - radius) - half, (x, y), radius + half)


def polygon(points: Array) -> Form:
    """Return the inside of a closed polygon (P, 2) that does not cross itself."""
    center = points.mean(0)
    reach = float(np.hypot(*(points - center).T).max())
    return Form(lambda u, v: _polygon(u, v, points), (float(center[0]), float(center[1])), reach)


def strokes(starts: Array, ends: Array, radii: Array) -> Form:
    """Return thick lines with round ends, from `starts` (S, 2) to `ends` (S, 2), with `radii` (S,)."""
    ends_of_all, around = np.concatenate((starts, ends)), np.tile(radii, 2)[:, None]
    low, high = (ends_of_all - around).min(0), (ends_of_all + around).max(0)
    center = (low + high) / 2
    return Form(
        lambda u, v: (_segments(u, v, starts, ends) - radii[:, None, None]).min(0),
        (float(center[0]), float(center[1])),
        float((high - low).max() / 2),
    )


def _segments(x: Array, y: Array, starts: Array, ends: Array) -> Array:
    """Return the distance to each line from `starts` (S, 2) to `ends` (S, 2), (S, h, w)."""
    dx, dy = (ends - starts).T[:, :, None, None]
    px, py = x - starts[:, 0, None, None], y - starts[:, 1, None, None]
    along = np.clip((px * dx + py * dy) / np.maximum(dx * dx + dy * dy, 1e-9), 0, 1)
    return np.hypot(px - along * dx, py - along * dy)


def _polygon(x: Array, y: Array, points: Array) -> Array:
    ends = np.roll(points, -1, 0)
    distance = _segments(x, y, points, ends).min(0)

    # A ray to the right crosses the outline an odd number of times from inside
    (x0, y0), (x1, y1) = points.T[:, :, None, None], ends.T[:, :, None, None]
    slope = (x1 - x0) / np.where(y1 == y0, 1, y1 - y0)
    crosses = ((y0 > y) != (y1 > y)) & (x < x0 + slope * (y - y0))
    return np.where(crosses.sum(0) % 2 == 1, -distance, distance)


def smooth_noise(random: np.random.Generator, size: tuple[int, int], cells: int) -> Array:
    """Draw bilinear noise (3, H, W) with unit variance at its knots, `cells` + 1 per side."""
    knots = random.standard_normal((3, cells + 1, cells + 1), dtype=np.float32)
    return _ramp(size[0], cells) @ knots @ _ramp(size[1], cells).T


def _ramp(length: int, cells: int) -> Array:
    """Return the weights of linear interpolation between knots, (length, cells + 1)."""
    position = (np.arange(length, dtype=np.float32) + 0.5) * (cells / length)
    return np.maximum(0, 1 - np.abs(position[:, None] - np.arange(cells + 1, dtype=np.float32)))
