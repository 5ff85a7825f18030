"""Average precision and aggregated Jaccard index of nuclei by the words of their definitions, mask by mask."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

Masks = list[np.ndarray]


def masks(ids: np.ndarray, left_out: np.ndarray) -> Masks:
    """A mask for each id that has pixels outside what is left out."""
    found = [(ids == i) & ~left_out for i in range(1, int(ids.max()) + 1)]
    return [mask for mask in found if mask.any()]


def counted(ids: np.ndarray, left_out: np.ndarray) -> list[bool]:
    """Return true for masks with less than half of their pixels left out."""
    found = [ids == i for i in range(1, int(ids.max()) + 1)]
    return [2 * (m & left_out).sum() < m.sum() for m in found if (m & ~left_out).any()]


def iou(a: np.ndarray, b: np.ndarray) -> Fraction:
    return Fraction(int((a & b).sum()), int((a | b).sum()))


def counts(found: np.ndarray, truth: np.ndarray, left_out: np.ndarray, threshold: Fraction) -> tuple[int, int]:
    """Return TP and TP + FP + FN: labelled masks take the first free prediction with an IoU above the threshold."""
    predicted, judged = masks(found, left_out), counted(found, left_out)
    taken: set[int] = set()
    hits = 0
    wanted = masks(truth, left_out)
    for mask in wanted:
        for i, other in enumerate(predicted):
            if i not in taken and iou(mask, other) > threshold:
                taken.add(i)
                hits += 1
                break
    false = sum(judged[i] and i not in taken for i in range(len(predicted)))
    return hits, hits + false + len(wanted) - hits


def jaccard(found: np.ndarray, truth: np.ndarray, left_out: np.ndarray) -> tuple[int, int]:
    """Intersection C and union U of Algorithm 1 of Kumar et al. (2017)."""
    predicted, judged = masks(found, left_out), counted(found, left_out)
    used: set[int] = set()
    shared = union = 0
    for mask in masks(truth, left_out):
        best = max(range(len(predicted)), key=lambda i, m=mask: (iou(m, predicted[i]), -i), default=None)
        if best is None or not (mask & predicted[best]).any():
            union += int(mask.sum())
            continue
        used.add(best)
        shared += int((mask & predicted[best]).sum())
        union += int((mask | predicted[best]).sum())
    return shared, union + sum(int(p.sum()) for i, p in enumerate(predicted) if i not in used and judged[i])
