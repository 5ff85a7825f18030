"""Segments of an image: borders thinned to lines, and the agreement of two segmentations.

All functions work on one image, on the CPU.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from densepred.ops.regions.components import Components
from densepred.ops.regions.pair_counts import pair_counts

CLOSED = -1


def thinned(labels: Components) -> Components:
    """Grow all labels over the 0s at the same pace, through 4 neighbours, until lines of 0s separate them.

    In each round a 0 beside one label takes it, and a 0 beside two labels stays 0. If two pixels labelled in the same
    round touch and differ, the right or lower one becomes 0. Without labels the image is one segment.
    This is the flooding of Vincent and Soille (1991) on two levels, with rounds instead of a queue.
    """
    if not labels.any():
        return np.ones_like(labels)
    grid = np.pad(labels, 1, constant_values=CLOSED)
    flat, right, down = grid.reshape(-1), 1, grid.shape[1]
    around = np.array([-right, right, -down, down])
    front = np.flatnonzero(flat > 0)
    while True:
        reached = (front[:, None] + around).reshape(-1)
        fresh = np.unique(reached[flat[reached] == 0])
        if not len(fresh):
            break
        beside = flat[fresh[:, None] + around]
        most = beside.max(1)
        least = np.where(beside > 0, beside, most[:, None]).min(1)
        flat[fresh] = np.where(most == least, most, CLOSED)
        for step in (right, down):
            one, other = flat[fresh], flat[fresh + step]
            flat[fresh[(one > 0) & (other > 0) & (one != other)] + step] = CLOSED
        front = fresh[flat[fresh] > 0]
    return np.maximum(grid[1:-1, 1:-1], 0)


@dataclass(frozen=True, slots=True)
class Agreement:
    """Counts over the `pixels` of ground-truth segments: ordered pairs in one segment; entropies in nats."""

    pixels: int
    both: int  # pairs in one segment of both
    truth: int  # pairs in one segment of the ground truth
    found: int  # pairs in one segment of the other
    truth_entropy: float
    found_entropy: float
    information: float  # mutual


def agreement(found: Components, truth: Components) -> Agreement:
    """Compare segments (H, W) on the pixels where `truth` is above 0. A pixel where `found` is 0 is its own segment."""
    inside = truth > 0
    a, b = truth[inside], found[inside]
    sizes = int(a.max(initial=0)) + 1, int(b.max(initial=0)) + 1
    row, column, pixels = (x.numpy() for x in pair_counts(torch.from_numpy(a), torch.from_numpy(b), *sizes))
    lone, cells = int(pixels[column == 0].sum()), pixels[column > 0]
    rows, columns = _sums(row, pixels), _sums(column[column > 0], cells)
    entropies = [_entropy(counts, len(a)) for counts in (rows, columns, cells)]
    return Agreement(
        pixels=len(a),
        both=int((cells**2).sum()) + lone,
        truth=int((rows**2).sum()),
        found=int((columns**2).sum()) + lone,
        truth_entropy=entropies[0],
        found_entropy=entropies[1],
        information=max(0.0, entropies[0] + entropies[1] - entropies[2]),
    )


def _sums(ids: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Sum the pixels per id, in the order of the ids that occur: (K,) int64."""
    _, owner = np.unique(ids, return_inverse=True)
    return np.bincount(owner, pixels).astype(np.int64)


def _entropy(counts: np.ndarray, total: int) -> float:
    """Compute the entropy of segments of these sizes; the rest of `total` are single pixels, with a term of 0."""
    return max(0.0, float(np.log(total) - (counts * np.log(counts)).sum() / total)) if total else 0.0
