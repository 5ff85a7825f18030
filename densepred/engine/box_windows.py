"""Boxes of a large image: each window is predicted like an image, and the boxes of all are merged."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

import torch
from torch import Tensor

from densepred.engine.sliding import ON_ACCELERATOR, Windows
from densepred.errors import Notice
from densepred.ops.boxes import windows as merging
from densepred.ops.geometry.tiling import positions
from densepred.types import Annotation


def predict(
    detect: Callable[[Sequence[Tensor]], list[Annotation]],
    pixels: Tensor,
    windows: Windows,
    step: int,
    device: torch.device,
) -> Annotation:
    """Return the boxes of an image (C, H, W); `detect` predicts windows of one size as a batch.

    step: windows begin at its multiples; with the largest stride of the model, locations are those of the whole image

    Issues a notice about boxes that end where their window does: these objects are larger than the windows' overlap.
    """
    size = (int(pixels.shape[-2]), int(pixels.shape[-1]))
    assert windows.tile is not None
    rows, columns = (extents(length, windows.tile, windows.overlap, step) for length in size)
    places = [(*down, *across) for down in rows for across in columns]
    views = [pixels[:, top:bottom, left:right] for top, bottom, left, right in places]
    many = windows.batch or (1 if device.type == "cpu" else ON_ACCELERATOR)
    found = [one for batch in _batches(views, many) for one in detect(batch)]
    return _merged(found, places, size, windows)


def extents(length: int, tile: int, overlap: float, step: int) -> list[tuple[int, int]]:
    """Return the start and stop of each window along an axis: at most `step` - 1 pixels more than `tile`.

    >>> extents(100, 40, 0.5, 16)
    [(0, 40), (16, 60), (32, 80), (48, 100)]
    """
    stops: dict[int, int] = {}
    for start in positions(length, min(tile, length), overlap):
        stops[start // step * step] = min(start + tile, length)
    return list(stops.items())


def _batches(views: Sequence[Tensor], many: int) -> Iterator[list[Tensor]]:
    """Yield windows of one size that follow one another, at most so many."""
    for _, same in groupby(views, key=lambda view: view.shape):
        group = list(same)
        yield from (group[start : start + many] for start in range(0, len(group), many))


def _merged(
    found: Sequence[Annotation], places: Sequence[tuple[int, ...]], size: tuple[int, int], windows: Windows
) -> Annotation:
    corners = torch.tensor([(left, top, left, top) for top, _, left, _ in places])
    edges = torch.tensor([(left, top, right, bottom) for top, bottom, left, right in places]) - 0.5
    boxes = torch.cat([one.need("boxes").cpu() + corner for one, corner in zip(found, corners, strict=True)])
    categories, scores = (torch.cat([one.need(name).cpu() for one in found]) for name in ("categories", "scores"))
    owner = torch.repeat_interleave(torch.arange(len(found)), torch.tensor([one.count for one in found]))
    kept = merging.merge(boxes, categories, edges, owner, size)
    if cut := int(merging.cuts(boxes[kept], edges, owner[kept], size).sum()):
        text = f"tile={windows.tile}: {cut} of {len(kept)} boxes end where their window does, so their objects may be "
        warnings.warn(text + "larger; set a larger tile, or more overlap", Notice, stacklevel=2)
    kept = kept[scores[kept].argsort(descending=True, stable=True)]
    return Annotation(size, boxes=boxes[kept], categories=categories[kept], scores=scores[kept])
