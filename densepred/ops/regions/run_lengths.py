"""Run lengths of the masks of instances, column by column as in COCO."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from pycocotools import mask

rle: Any = mask  # its type stubs lack several forms of arguments


def run_lengths(ids: np.ndarray, count: int) -> list[list[int]]:
    """Return the lengths of runs outside and inside each of `count` instances of a map of ids (H, W), alternating.

    The first run is outside. One pass over the map, for any number of instances.
    """
    flat = np.ascontiguousarray(ids.T).reshape(-1)
    starts = np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]) + 1]) if flat.size else np.zeros(0, np.int64)
    ends = np.concatenate([starts[1:], [flat.size]])
    owner = flat[starts]
    order = np.argsort(owner, kind="stable")
    owner, starts, ends = owner[order], starts[order], ends[order]
    bounds = np.searchsorted(owner, np.arange(1, count + 2))
    return [_turns(starts[a:b], ends[a:b], flat.size) for a, b in pairwise(bounds)]


def compressed_masks(ids: np.ndarray, count: int) -> list[dict[str, Any]]:
    """Return COCO's compressed run-length mask of each of `count` instances of a map of ids (H, W)."""
    height, width = ids.shape
    runs = run_lengths(ids, count)
    return [rle.frPyObjects({"counts": turns, "size": [height, width]}, height, width) for turns in runs]


def mask_of_runs(starts: np.ndarray, ends: np.ndarray, height: int, width: int) -> dict[str, Any]:
    """Return COCO's compressed mask of runs inside an instance, in order; `starts` and `ends` count down the columns.

    Runs that touch, at the lower end of a column and the upper end of the next one, become one.
    """
    first = np.concatenate([[True], starts[1:] != ends[:-1]])
    last = np.concatenate([first[1:], [True]])
    turns = _turns(starts[first], ends[last], height * width)
    return rle.frPyObjects({"counts": turns, "size": [height, width]}, height, width)


def _turns(starts: np.ndarray, ends: np.ndarray, total: int) -> list[int]:
    """Return the lengths between all edges, without the empty run after an instance that ends at the last pixel."""
    edges = np.stack([starts, ends], 1).reshape(-1)
    after = [total] if not len(ends) or ends[-1] < total else []
    return np.diff(np.concatenate([[0], edges, after])).tolist()
