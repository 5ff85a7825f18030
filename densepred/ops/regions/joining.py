"""Instances of overlapping blocks of rows, joined to instances of the image. On the CPU: maps are numpy arrays of ids.

P instances of single blocks ("pieces"), N instances of the image, W columns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from densepred.ops.boxes import from_ids
from densepred.ops.regions.overlaps import overlaps


@dataclass(frozen=True, slots=True)
class Joined:
    """The instances of an image, in the order of their first block.

    table: (P + 1,) int32, from the number of a piece to the number of its instance, 0 if it was dropped
    crossing: (N,) bool, whether an instance has pixels in several blocks
    """

    table: np.ndarray
    categories: np.ndarray  # (N,) int64
    scores: np.ndarray  # (N,) float32
    areas: np.ndarray  # (N,) int64
    boxes: np.ndarray  # (N, 4) float32, outer edges
    crossing: np.ndarray


class Joiner:
    """Join the instances of blocks that come from the top. Two pieces are one instance if they share pixels.

    Compared are the last kept row of a block and the first kept row of the next one, which both blocks decode. An
    instance that has pixels on both sides of the line between them lies in these rows.

    exact: blocks agree on the pixels of instances, so one common pixel is enough. Else pieces are joined if half of the
        smaller one, of its pixels in these rows, lies in the other.
    """

    def __init__(self, exact: bool) -> None:
        self.exact = exact
        self.parents = [0]  # of each piece, from 1; a root is its own parent
        self.pieces: list[tuple[np.ndarray, ...]] = []
        self.border = np.zeros((0, 0), np.int32)  # the two rows at the last line, in numbers of pieces

    def add(self, ids: np.ndarray, kept: slice, top: int, categories: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """Take in a block; return the numbers of the pieces in its kept rows, int32.

        ids: (R, W) int32 of the whole block, 0 for none, i + 1 for row i of `categories` and `scores`
        kept: rows of the block that are kept; top: the first of them in the image
        """
        count, own = len(categories), ids[kept]
        areas, visible = (np.bincount(part.reshape(-1), minlength=count + 1)[1:] for part in (own, ids))
        cut = np.zeros(count + 1, bool)  # by the first and last row, which a piece of several instances reaches too
        cut[ids[: int(kept.start > 0)]] = cut[ids[len(ids) - int(kept.stop < len(ids)) :]] = True
        visible = visible - cut[1:] * 2**40
        seen = np.flatnonzero(areas)
        first = len(self.parents)
        self.parents += range(first, first + len(seen))
        numbers = np.zeros(count + 1, np.int32)
        numbers[seen + 1] = np.arange(first, first + len(seen))
        boxes = from_ids.boxes(torch.from_numpy(np.ascontiguousarray(own)), count).numpy()[seen]
        boxes = boxes + np.array([0, top, 0, top], np.float32)
        self.pieces.append((categories[seen], scores[seen], areas[seen], visible[seen], boxes))
        if kept.start:
            self._compare(numbers[ids[kept.start - 1 : kept.start + 1]], first)
        self.border = numbers[ids[kept.stop - 1 : kept.stop + 1]]
        return numbers[own]

    def _compare(self, here: np.ndarray, first: int) -> None:
        """Join the pieces of the last block and of this one, which are numbered from `first`, by two rows."""
        before = self.border
        low = int(before[before > 0].min(initial=first)) - 1
        above, below = np.maximum(before - low, 0), np.maximum(here - (first - 1), 0)
        found = overlaps(above, below, first - 1 - low, len(self.parents) - first)
        smaller = np.minimum(found.found_areas[found.found], found.truth_areas[found.truth])
        for index in np.flatnonzero(self.exact | (2 * found.pixels >= smaller)):
            one, other = self._root(int(found.found[index]) + low + 1), self._root(int(found.truth[index]) + first)
            self.parents[max(one, other)] = min(one, other)

    def _root(self, piece: int) -> int:
        while self.parents[piece] != piece:
            self.parents[piece] = self.parents[self.parents[piece]]
            piece = self.parents[piece]
        return piece

    def joined(self, least: float = 0.0) -> Joined:
        """Return the instances of at least `least` pixels.

        Class and score of an instance are those in a block that holds it whole, else in the one with most of it. If
        blocks are exact, the score is the mean of its pieces by their pixels.
        """
        roots = np.array([self._root(piece) for piece in range(1, len(self.parents))], np.int64)
        categories, scores, areas, visible, boxes = (np.concatenate(part) for part in zip(*self.pieces, strict=True))
        whole, owner = np.unique(roots, return_inverse=True)
        count = len(whole)
        total = np.bincount(owner, areas, count).astype(np.int64)
        best, order = np.zeros(count, np.int64), np.argsort(visible, kind="stable")
        best[owner[order]] = order  # of several values for one place the last one, of the largest, stays
        best_scores = scores[best]
        if self.exact:
            best_scores = (np.bincount(owner, areas * scores, count) / np.maximum(total, 1)).astype(np.float32)
        edges = np.tile(np.array([np.inf, np.inf, -np.inf, -np.inf], np.float32), (count, 1))
        np.minimum.at(edges[:, :2], owner, boxes[:, :2])
        np.maximum.at(edges[:, 2:], owner, boxes[:, 2:])
        kept = total >= least
        numbers = (np.cumsum(kept) * kept).astype(np.int32)
        return Joined(
            np.concatenate([np.zeros(1, np.int32), numbers[owner]]),
            categories[best][kept],
            best_scores[kept],
            total[kept],
            edges[kept],
            (np.bincount(owner, minlength=count) > 1)[kept],
        )
