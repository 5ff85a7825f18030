"""Which segments of two panoptic pictures match, from how many pixels each two share.

Kirillov et al., CVPR 2019 (arXiv 1801.00868), with the rules of the COCO panoptic API for void and crowds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from densepred.types import VOID

CELLS = 2**22  # pairs of codes that are counted in one table; where there are more, pixels are sorted
LABELS = VOID + 1


class Regions(NamedTuple):
    """A panoptic picture. Codes: 0 nothing, i + 1 the i-th of N instances, N + 1 + c pixels of label c without one."""

    codes: Tensor  # (H, W) int32
    classes: np.ndarray  # (N + 257,) int64, the class of the segment of each code, -1 where the code is none
    crowd: np.ndarray  # (N + 257,) bool


class Matches(NamedTuple):
    """What one pair of pictures adds: the IoU and class of each match, and the classes of what found no match."""

    overlaps: np.ndarray  # (M,) float64, each above a half
    hits: np.ndarray  # (M,) int64
    wrong: np.ndarray  # segments of the prediction
    missed: np.ndarray  # segments of the truth


def regions(
    semantic: Tensor,
    instances: Tensor,
    categories: Tensor,
    stuff: Sequence[int],
    crowd: Tensor | None = None,
    ignore: Tensor | None = None,
) -> Regions:
    """Instances are segments, and so is each class of `stuff` where no instance is. The rest is nothing.

    semantic (H, W) uint8, instances (H, W) int32, categories and crowd (N,), ignore (H, W) bool: nothing is there,
    but that crowds stay.
    """
    count = len(categories)
    codes = torch.where(instances > 0, instances.to(torch.int32), semantic.to(torch.int32).add_(count + 1))
    flags = np.zeros(count + 1 + LABELS, bool)
    if crowd is not None:
        flags[1 : count + 1] = crowd.cpu().numpy()
    if ignore is not None:
        flagged = torch.from_numpy(flags).to(codes.device)
        codes.masked_fill_(ignore.to(codes.device) & ~flagged[codes.long()], 0)
    classes = np.full(count + 1 + LABELS, -1, np.int64)
    classes[1 : count + 1] = categories.cpu().numpy()
    classes[count + 1 + np.array(stuff, np.int64)] = stuff
    return Regions(codes, classes, flags)


def match(truth: Regions, prediction: Regions) -> Matches:
    """Segments of equal class match where their IoU is more than a half, so each has one mate at most.

    The union leaves out what the prediction has on void. Crowds are neither found nor missed. An unmatched prediction
    is not wrong where more than half of it lies on void and on crowds of its class.
    """
    t, p, shared = pairs(truth.codes, prediction.codes, len(truth.classes), len(prediction.classes))
    kind, guess = truth.classes[t], prediction.classes[p]
    area = np.bincount(t, shared, len(truth.classes))
    size = np.bincount(p, shared, len(prediction.classes))
    void = np.bincount(p, shared * (kind < 0), len(prediction.classes))
    same = (kind >= 0) & (kind == guess)
    overlap = shared / (area[t] + size[p] - shared - np.where(same, void[p], 0))
    hit = same & ~truth.crowd[t] & (overlap > 0.5)
    spared = void + np.bincount(p, shared * (same & truth.crowd[t]), len(prediction.classes))

    missing = (truth.classes >= 0) & (area > 0) & ~truth.crowd
    missing[t[hit]] = False
    wrong = (prediction.classes >= 0) & (size > 0) & (2 * spared <= size)
    wrong[p[hit]] = False
    return Matches(overlap[hit], kind[hit], prediction.classes[wrong], truth.classes[missing])


def pairs(truth: Tensor, prediction: Tensor, rows: int, columns: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each pair of codes that share pixels, and how many; all (P,), in the order of the pairs."""
    if rows * columns > CELLS:
        index = truth.flatten().long().mul_(columns).add_(prediction.flatten())
        found, number = index.unique(return_counts=True)
    else:
        index = truth.flatten().mul(columns).add_(prediction.flatten())
        table = index.bincount(minlength=rows * columns)
        found = table.nonzero()[:, 0]
        number = table[found]
    cells = found.cpu().numpy()
    return cells // columns, cells % columns, number.cpu().numpy()
