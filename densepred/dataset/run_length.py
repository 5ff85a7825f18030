"""Run-length masks: encode checked segmentations, and draw them to a map of instances.

pycocotools is C code that trusts its input: it would write runs that overshoot the image past the end of its memory.
So runs are decoded and checked here first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from pycocotools import mask
from torch import Tensor

from densepred.ops.boxes.coco import from_coco
from densepred.types import UserError

coco_mask: Any = mask  # its type stubs lack many of its forms

Runs = dict[str, Any]
"""{"size": [height, width], "counts": bytes}, as pycocotools writes it."""


def encode(segmentation: Sequence[Sequence[float]] | Mapping[str, Any], size: tuple[int, int], where: str) -> Runs:
    """Return the mask of polygons, plain runs or compressed runs, as `coco_fields.segmentation` returns them.

    Raises UserError, with the place `where`, if compressed runs are damaged.
    """
    if not isinstance(segmentation, Mapping):
        return coco_mask.merge(coco_mask.frPyObjects([list(polygon) for polygon in segmentation], *size))
    counts = segmentation["counts"]
    if not isinstance(counts, str):
        return coco_mask.frPyObjects({"size": list(size), "counts": counts}, *size)
    try:
        text = counts.encode("ascii")
    except UnicodeEncodeError:
        text = b""
    runs = expand(text)
    if runs is None or runs.sum() != size[0] * size[1]:
        raise UserError(f"{where}: its run-length mask is damaged; write it again with pycocotools")
    return {"size": list(size), "counts": text}


def expand(text: bytes) -> np.ndarray | None:
    """Return the runs of a compressed mask; None if the text is damaged.

    A character less 48 holds five bits of a number, the lowest first. Its bit 5 is set if more follow; bit 4 of the
    last character is the sign. From the fourth run on, a number is the difference to the run two before.
    Source: `rleFrString` of pycocotools.
    """
    values = np.frombuffer(text, np.uint8).astype(np.int64) - 48
    if not len(values) or values.min() < 0 or values.max() > 63:
        return None
    last = np.flatnonzero((values & 32) == 0)
    if not len(last) or last[-1] != len(values) - 1:
        return None
    first = np.concatenate(([0], last[:-1] + 1))
    lengths = last - first + 1
    if lengths.max() > 8:  # forty bits are plenty
        return None
    places = np.arange(len(values)) - np.repeat(first, lengths)
    runs = np.add.reduceat((values & 31) << (5 * places), first)
    runs -= np.where(values[last] & 16, np.int64(1) << (5 * lengths), 0)
    for start in (1, 2):
        runs[start::2] = np.cumsum(runs[start::2])
    return runs if runs.min() >= 0 else None


def area(masks: Sequence[Runs]) -> Tensor:
    """Return the number of pixels per mask, (N,) float32."""
    # One by one: for 256 masks at once, pycocotools 2.0.11 counts them in a byte and raises OverflowError.
    return torch.tensor([float(coco_mask.area(one)) for one in masks], dtype=torch.float32)


def box(runs: Runs) -> list[float]:
    """Return x0, y0, x1, y1 of the outer edges of a mask; 0 is the center of the first pixel."""
    x, y, width, height = np.asarray(coco_mask.toBbox(runs), np.float64).tolist()
    return list(from_coco(x, y, width, height))


def union(masks: Sequence[Runs], size: tuple[int, int]) -> Tensor:
    """Return the union of the masks, (H, W) bool."""
    if not masks:
        return torch.zeros(size, dtype=torch.bool)
    return torch.from_numpy(decoded(coco_mask.merge(list(masks))))


def inside(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the pixels inside any of the boxes (N, 4), (H, W) bool."""
    out = torch.zeros(size, dtype=torch.bool)
    for x0, y0, x1, y1 in (boxes + 0.5).round().int().tolist():
        out[max(0, y0) : max(0, y1), max(0, x0) : max(0, x1)] = True
    return out


def decoded(runs: Runs) -> np.ndarray:
    """Return a mask, (H, W) bool."""
    return coco_mask.decode(runs).astype(bool)


def without(runs: Runs, void: Tensor) -> Runs:
    """Return a mask without the pixels of `void`, (H, W) bool."""
    return coco_mask.encode(np.asfortranarray(decoded(runs) & ~void.numpy(), np.uint8))


def instance_map(
    masks: Sequence[Runs], crowd: Tensor, size: tuple[int, int], layers: Sequence[int] | None = None
) -> Tensor:
    """Draw the masks to a map of instances (H, W) int32, smaller ones on top and crowds below all others.

    layers: number of the layer per mask; a higher one lies on top, and smaller masks do within a layer
    """
    out = np.zeros(size, np.int32)
    pixels, height = area(masks), [0] * len(masks) if layers is None else layers
    for index in sorted(range(len(masks)), key=lambda i: (not crowd[i], height[i], -pixels[i])):
        out[decoded(masks[index])] = index + 1
    return torch.from_numpy(out)
