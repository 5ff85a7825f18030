"""Masks of annotation programs as plain runs of COCO: a piece of a mask at its place, and outlines with holes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from densepred.dataset import coco_fields, run_length

TRIANGLE = 6
"""Numbers of the smallest outline: x and y of three points."""


def runs(mask: np.ndarray, size: tuple[int, int], left: int = 0, top: int = 0) -> dict[str, Any]:
    """Return the plain runs, by columns, of a mask (h, w) bool that begins at x=left, y=top of an image.

    size: height and width of the image; pixels of the mask beyond it are cut off
    """
    xs, ys = np.nonzero(mask.T)
    xs, ys = xs + left, ys + top
    inside = (xs >= 0) & (xs < size[1]) & (ys >= 0) & (ys < size[0])
    places = xs[inside] * size[0] + ys[inside]
    first = np.flatnonzero(np.diff(places, prepend=-2) != 1)
    last = np.flatnonzero(np.diff(places, append=size[0] * size[1] + 1) != 1)
    edges = np.stack((places[first], places[last] + 1), 1).ravel()
    return {"size": [*size], "counts": np.diff(edges, prepend=0, append=size[0] * size[1]).tolist()}


def union(parts: Sequence[Any], size: tuple[int, int], where: str) -> dict[str, Any]:
    """Return the runs of an object of several parts, each an outline x, y, x, y, ... or runs.

    size: height and width of the image
    """
    whole = np.zeros(size, bool)
    for part in parts:
        if not isinstance(part, Mapping):
            part = _kept(part, size, where)
            part = [part] if len(part) >= TRIANGLE else None
        if part is not None:
            whole |= run_length.decoded(run_length.encode(part, size, where))
    return runs(whole, size)


def _kept(ring: Sequence[float], size: tuple[int, int], where: str) -> list[float]:
    """Return the numbers of an outline, or raise UserError if it lies far from the image."""
    far = float(max(size))
    return coco_fields.numbers(list(ring), where, "polygon", -far, 2 * far)


def outlines(rings: Sequence[Sequence[float]], size: tuple[int, int], where: str) -> Any:
    """Return the area of closed outlines x, y, x, y, ... as a segmentation of COCO, filled by the even-odd rule.

    So an outline within another one is a hole, and outlines beside each other are pieces of one object. A single one
    stays a polygon; several are drawn as pycocotools does. size: height and width of the image
    """
    kept = [numbers for ring in rings if len(numbers := _kept(ring, size, where)) >= TRIANGLE]
    if len(kept) < 2:
        return kept
    flat = [value for ring in kept for value in ring]
    left, top = (max(0, math.floor(min(flat[axis::2]))) for axis in (0, 1))
    right, bottom = (min(size[1 - axis], math.ceil(max(flat[axis::2])) + 1) for axis in (0, 1))
    part = (max(0, bottom - top), max(0, right - left))
    mask = np.zeros(part, bool)
    for ring in kept if mask.size else ():
        moved = [value - (top if index % 2 else left) for index, value in enumerate(ring)]
        mask ^= run_length.decoded(run_length.encode([moved], part, where))
    return runs(mask, size, left, top)
