"""Matches between the segments of two panoptic maps, from the pixels that each pair shares.

Kirillov et al., CVPR 2019 (arXiv 1801.00868), with the rules of the COCO panoptic API for void and crowds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from densepred.ops.regions.pair_counts import pair_counts
from densepred.types import VOID

LABELS = VOID + 1


class Regions(NamedTuple):
    """Panoptic map of one image. Ids: 0 nothing, i + 1 the i-th of N instances, N + 1 + c label c outside instances."""

    ids: Tensor  # (H, W) int32
    classes: np.ndarray  # (N + 257,) int64, the class of the segment of each id, -1 for none
    crowd: np.ndarray  # (N + 257,) bool


class Matches(NamedTuple):
    """Matches of one pair of maps: IoU and class of each, and the classes of unmatched segments."""

    overlaps: np.ndarray  # (M,) float64, each above 0.5
    hits: np.ndarray  # (M,) int64
    wrong: np.ndarray  # classes of unmatched segments of the prediction
    missed: np.ndarray  # classes of unmatched segments of the ground truth


def regions(
    semantic: Tensor,
    instances: Tensor,
    categories: Tensor,
    stuff: Sequence[int],
    crowd: Tensor | None = None,
    ignore: Tensor | None = None,
) -> Regions:
    """Combine instances, and per class of `stuff` its pixels outside instances. All other pixels are nothing.

    semantic: (H, W) uint8
    instances: (H, W) int32
    categories: (N,) int64
    crowd: (N,) bool
    ignore: (H, W) bool, pixels that become nothing, except those of crowds
    """
    count = len(categories)
    ids = torch.where(instances > 0, instances.to(torch.int32), semantic.to(torch.int32).add_(count + 1))
    flags = np.zeros(count + 1 + LABELS, bool)
    if crowd is not None:
        flags[1 : count + 1] = crowd.cpu().numpy()
    if ignore is not None:
        flagged = torch.from_numpy(flags).to(ids.device)
        ids.masked_fill_(ignore.to(ids.device) & ~flagged[ids.long()], 0)
    classes = np.full(count + 1 + LABELS, -1, np.int64)
    classes[1 : count + 1] = categories.cpu().numpy()
    classes[count + 1 + np.array(stuff, np.int64)] = stuff
    return Regions(ids, classes, flags)


def match(truth: Regions, prediction: Regions) -> Matches:
    """Match segments of equal class with an IoU above 0.5, so each has at most one match.

    The union leaves out pixels of the prediction on void. Crowds are neither matched nor missed. An unmatched
    prediction does not count as wrong if more than half of it lies on void and on crowds of its class.
    """
    counts = pair_counts(truth.ids, prediction.ids, len(truth.classes), len(prediction.classes))
    t, p, shared = torch.stack(counts).cpu().numpy()
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
