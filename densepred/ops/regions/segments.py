"""Segments of an image: components, borders thinned to lines, and how far two segmentations agree.

These are a few numbers of one image, on the CPU: labels are numpy arrays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

Labels = np.ndarray[Any, np.dtype[np.int64]]
CLOSED = -1


def components(mask: np.ndarray, connectivity: int = 4) -> Labels:
    """(H, W) bool to labels 1, 2, ... of its connected components, 0 elsewhere; `connectivity` is 4 or 8."""
    structure = ndimage.generate_binary_structure(2, 1 if connectivity == 4 else 2)
    found: Any = ndimage.label(mask, structure)
    return np.asarray(found[0], np.int64)


def thinned(labels: Labels) -> Labels:
    """Let labels grow over the 0s, all at the same pace through 4 neighbours, until lines of 0s part them.

    In each round a 0 beside one label takes it, one beside two labels stays 0 for good; where two that were taken in
    the same round touch under different labels, the right or lower one is 0. Without any label all is one segment.
    This is the flooding of Vincent and Soille (1991) on two levels, in rounds where theirs has a queue.
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
    """Of the `pixels` of the truth's segments: ordered pairs in one segment, entropies in nats."""

    pixels: int
    both: int  # pairs in one segment of both
    truth: int  # pairs in one segment of the truth
    found: int  # pairs in one segment of the other
    truth_entropy: float
    found_entropy: float
    information: float  # mutual


def agreement(found: Labels, truth: Labels) -> Agreement:
    """Compare segments on the pixels where `truth` is above 0. A pixel where `found` is 0 is a segment of its own."""
    inside = truth > 0
    a, b = truth[inside], found[inside]
    lone = int((b == 0).sum())
    pairs = (a * (int(b.max(initial=0)) + 1) + b)[b > 0]
    rows, columns, cells = (np.unique(x, return_counts=True)[1].astype(np.int64) for x in (a, b[b > 0], pairs))
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


def _entropy(counts: np.ndarray, total: int) -> float:
    """Of segments of these sizes and of single pixels for the rest of `total`, whose count times logarithm is 0."""
    return max(0.0, float(np.log(total) - (counts * np.log(counts)).sum() / total)) if total else 0.0
