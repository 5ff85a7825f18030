"""Scores of a perfect model that predicts class maps at a coarse stride and enlarges them bilinearly.

Long et al. give such upper bounds of the mean IoU for PASCAL VOC: 98.5 % at stride 4, 96.4 % at 8, 92.8 % at 16 and
86.1 % at 32 (https://arxiv.org/abs/1411.4038, appendix A).
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from densepred.inspection.facts import STRIDES, Counts
from densepred.ops.resize.resample import argmax
from densepred.types import VOID

KEPT = 0.9
"""Mean IoU that a perfect model must reach at the suggested stride."""
COMPARED = 32
"""Class maps that are compared, spread evenly over the training images."""


def counts(labels: Tensor, classes: int) -> tuple[Counts, ...]:
    """Compare a class map (H, W) uint8 with itself at each stride of STRIDES."""
    present = labels[labels != VOID].unique()
    return tuple(_counts(labels, enlarged(labels, present, stride), classes) for stride in STRIDES)


def enlarged(labels: Tensor, present: Tensor, stride: int) -> Tensor:
    """Return the class map (H, W) of the shares of the `present` classes in squares of `stride` pixels, enlarged."""
    height, width = labels.shape
    padded = F.pad(labels, (0, -width % stride, 0, -height % stride), value=VOID)
    if not len(present):
        return labels
    shares = F.avg_pool2d((padded == present[:, None, None]).float(), stride)
    shares = shares / shares.sum(0).clamp(min=1e-6)  # of the pixels that are not void
    winner = argmax(shares[None], (padded.shape[0], padded.shape[1]))[0]
    return present[winner[:height, :width].long().clamp(max=len(present) - 1)]


def _counts(labels: Tensor, found: Tensor, classes: int) -> Counts:
    known = labels != VOID
    truth, found = labels[known].long(), found[known].long()
    both = torch.bincount(truth[truth == found], minlength=classes)
    union = torch.bincount(truth, minlength=classes) + torch.bincount(found, minlength=classes) - both
    return tuple(zip(both.tolist(), union.tolist(), strict=True))


def mean_ious(found: Iterable[tuple[Counts, ...]]) -> dict[int, float]:
    """Return the mean IoU over the classes that occur, at each stride; {} without class maps."""
    tables = [torch.tensor(one) for one in found]
    if not tables:
        return {}
    both, union = torch.stack(tables).sum(0).unbind(-1)  # (strides, classes)
    occurs = union[0] > 0
    if not bool(occurs.any()):
        return {}
    scores = (both[:, occurs] / union[:, occurs].clamp(min=1)).mean(1).tolist()
    return {stride: round(score, 3) for stride, score in zip(STRIDES, scores, strict=True)}


def stride(scores: dict[int, float]) -> int | None:
    """Return the largest stride with a mean IoU of KEPT at least, 1 if there is none; None without scores."""
    return max((each for each, score in scores.items() if score >= KEPT), default=1) if scores else None
