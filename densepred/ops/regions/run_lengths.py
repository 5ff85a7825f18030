"""Masks of instances as run lengths, down the columns as COCO counts them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np


def run_lengths(ids: np.ndarray, count: int) -> list[list[int]]:
    """For each of `count` instances of a map (H, W) of 0 and ids, pixels outside and inside in turns.

    The first number counts pixels outside. One pass over the map, whatever the number of instances.
    """
    flat = np.ascontiguousarray(ids.T).reshape(-1)
    starts = np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]) + 1]) if flat.size else np.zeros(0, np.int64)
    ends = np.concatenate([starts[1:], [flat.size]])
    owner = flat[starts]
    order = np.argsort(owner, kind="stable")
    owner, starts, ends = owner[order], starts[order], ends[order]
    bounds = np.searchsorted(owner, np.arange(1, count + 2))
    return [_turns(starts[a:b], ends[a:b], flat.size) for a, b in pairwise(bounds)]


def _turns(starts: np.ndarray, ends: np.ndarray, total: int) -> list[int]:
    """The lengths between all edges; one after the last pixel of an instance at the very end would be 0."""
    edges = np.stack([starts, ends], 1).reshape(-1)
    after = [total] if not len(ends) or ends[-1] < total else []
    return np.diff(np.concatenate([[0], edges, after])).tolist()
