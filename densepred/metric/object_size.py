"""Scores of class maps by the size of objects: networks that shrink their input lose the small ones."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from densepred.contracts import Metric
from densepred.ops.score.object_size import COLUMNS, count_by_size
from densepred.types import VOID, Annotation, Info, UserError

SCORES = ("size_recall", "size_found", "size_precision")


class ObjectSize(Metric):
    """Recall and precision of pixels, and the share of objects found, by the side of the object.

    An object is a connected region of one class, its side the square root of its pixels. Recall and `size_found` go by
    objects of the ground truth, precision by those of the prediction. Pixels are summed over the whole dataset.
    """

    requires = ("semantic",)

    def __init__(
        self, info: Info, edges: Sequence[float] = (8, 16, 32, 64, 128), include_background: bool = True
    ) -> None:
        self.edges = [float(edge) for edge in edges]
        if not self.edges or self.edges[0] <= 0 or any(a >= b for a, b in itertools.pairwise(self.edges)):
            raise UserError(f"metric.object_size.edges: {list(edges)}; give rising sides in pixels, such as [16,64]")
        self.first = 0 if include_background else 1
        self.bins = names(self.edges)
        self.mode = {f"{score}/{part}": "max" for score in SCORES for part in self.bins}
        self.truth = np.zeros((len(self.bins), COLUMNS), np.int64)
        self.found = np.zeros_like(self.truth)

    def add(self, prediction: Annotation, truth: Annotation) -> None:
        guess, labels = prediction.need("semantic").cpu(), truth.need("semantic").cpu()
        right, known = guess == labels, labels != VOID
        self.truth += count_by_size(labels, right, known, self.edges, self.first)
        self.found += count_by_size(guess, right, known, self.edges, self.first)

    def merge(self, other: Metric) -> None:
        assert isinstance(other, ObjectSize)
        self.truth, self.found = self.truth + other.truth, self.found + other.found

    def compute(self) -> dict[str, float | None]:
        objects, whole, pixels, right = self.truth.T
        scores = {
            "size_recall": _ratios(right, pixels),
            "size_found": _ratios(whole, objects),
            "size_precision": _ratios(self.found[:, 3], self.found[:, 2]),
            "size_objects": [int(count) for count in objects],
        }
        return {f"{name}/{part}": v for name, each in scores.items() for part, v in zip(self.bins, each, strict=True)}


def names(edges: Sequence[float]) -> list[str]:
    """Return the name of each bin: 0-8, 8-16, 16- for the edges 8 and 16."""
    words = ["0", *(f"{edge:g}" for edge in edges), ""]
    return [f"{low}-{high}" for low, high in itertools.pairwise(words)]


def _ratios(part: np.ndarray, whole: np.ndarray) -> list[float | None]:
    return [float(a) / float(b) if b else None for a, b in zip(part, whole, strict=True)]
