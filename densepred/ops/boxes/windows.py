"""Boxes that were detected in overlapping windows of an image, merged to those of the image.

N boxes of all windows, as x0, y0, x1, y1.
"""

from __future__ import annotations

import torch
from torch import Tensor

from densepred.ops.boxes.edges import areas

SAME = 0.5
"""Least overlap (IoU) at which boxes of two windows are one object."""
WITHIN = 0.5
"""Least share of a box at the border of its window inside a whole box that makes it a part of that object."""
BORDER = 2.0
"""Pixels from the border of a window within which a box may have been cut."""


def merge(boxes: Tensor, categories: Tensor, windows: Tensor, owner: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the rows that are kept, in order, (M,) int64.

    windows: (V, 4) outer edges of each window; owner: (N,) the window of each box
    size: of the image; its own borders cut nothing

    Boxes of one window are left as they are. Of two windows, boxes of one class are paired one to one, the largest
    overlap first; of a pair the box farther from the border of its window stays. A box that its window cuts is also
    dropped if at least half of it lies in an uncut box of its class.
    """
    room = _room(boxes, windows[owner], size)
    alive = torch.ones(len(boxes), dtype=torch.bool)
    for second in range(1, len(windows)):
        there = windows[second]
        beside = ((windows[:second, :2] < there[2:]) & (windows[:second, 2:] > there[:2])).all(1)
        for first in beside.nonzero()[:, 0].tolist():
            one, other = (((owner == index) & alive).nonzero()[:, 0] for index in (first, second))
            for a, b in _pairs(boxes, categories, one, other):
                alive[b if room[a] >= room[b] else a] = False
    cut = (room < BORDER) & alive
    for row in cut.nonzero()[:, 0].tolist():
        others = alive & ~cut & (categories == categories[row]) & (owner != owner[row])
        alive[row] = not bool((_inside(boxes[row], boxes[others]) >= WITHIN).any())
    return alive.nonzero()[:, 0]


def cuts(boxes: Tensor, windows: Tensor, owner: Tensor, size: tuple[int, int]) -> Tensor:
    """Return True for boxes at a border of their window that is no border of the image, (N,) bool."""
    return _room(boxes, windows[owner], size) < BORDER


def _room(boxes: Tensor, windows: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the pixels between each box and the nearest border of its window inside the image, (N,)."""
    image = boxes.new_tensor([-0.5, -0.5, size[1] - 0.5, size[0] - 0.5])
    gaps = torch.cat([boxes[:, :2] - windows[:, :2], windows[:, 2:] - boxes[:, 2:]], 1)
    return gaps.masked_fill(windows == image, torch.inf).amin(1)


def _pairs(boxes: Tensor, categories: Tensor, one: Tensor, other: Tensor) -> list[tuple[int, int]]:
    """Pair rows of two windows one to one by overlap, the largest first."""
    if not len(one) or not len(other):
        return []
    from torchvision.ops import box_iou  # slow to import, and few commands need it

    overlap = box_iou(boxes[one], boxes[other]).masked_fill(categories[one, None] != categories[other], 0)
    rows, columns = (overlap >= SAME).nonzero(as_tuple=True)
    order = overlap[rows, columns].argsort(descending=True, stable=True)
    found: list[tuple[int, int]] = []
    used: tuple[set[int], set[int]] = set(), set()
    for row, column in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
        if row not in used[0] and column not in used[1]:
            used[0].add(row)
            used[1].add(column)
            found.append((int(one[row]), int(other[column])))
    return found


def _inside(box: Tensor, others: Tensor) -> Tensor:
    """Return the share of a box that lies in each of the others, (M,)."""
    low, high = torch.maximum(box[:2], others[:, :2]), torch.minimum(box[2:], others[:, 2:])
    return (high - low).clamp_min(0).prod(1) / areas(box[None])
