"""Scores of cells separated by membranes, as in the ISBI 2012 challenge on electron microscopy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from densepred.contracts import Metric
from densepred.ops.regions.components import components
from densepred.ops.regions.segments import Agreement, agreement, thinned
from densepred.types import VOID, Annotation, Info, UserError

UNIT = 2**40
"""Sums are integers in units of 1 / UNIT, so that the order of images does not change them."""
NAMES = ("v_rand", "v_rand_split", "v_rand_merge", "v_info", "v_info_split", "v_info_merge")


class EmSegmentation(Metric):
    """Foreground-restricted Rand and information scores after border thinning.

    Segments are the connected components of all pixels that are not `membrane`. Those of the prediction are taken at
    each of `thresholds` of the probability of cell, and the best threshold counts. Without thresholds they are taken
    from the class map. With `thin` they grow until lines of one pixel separate them. Only known pixels inside the cells
    of the ground truth are compared. Images without such a pixel are left out.

    Arganda-Carreras et al., Front. Neuroanat. 2015 (doi 10.3389/fnana.2015.00142).
    """

    requires = ("semantic",)
    mode = {"v_rand": "max", "v_info": "max"}

    def __init__(
        self,
        info: Info,
        membrane: int = 0,
        thresholds: Sequence[float] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
        connectivity: int = 4,
        thin: bool = True,
        per_image: bool = True,
    ) -> None:
        if not 0 <= membrane < len(info.classes):
            raise UserError(
                f"metric.em_segmentation.membrane: {membrane}; give the index of a class, "
                f"0 to {len(info.classes) - 1}: {', '.join(info.classes)}"
            )
        if connectivity not in (4, 8):
            raise UserError(f"metric.em_segmentation.connectivity: {connectivity}; give 4 or 8")
        if any(not 0 <= t < 1 for t in thresholds):
            raise UserError(f"metric.em_segmentation.thresholds: {list(thresholds)}; give numbers from 0 to below 1")
        self.membrane, self.connectivity, self.thin, self.per_image = membrane, connectivity, thin, per_image
        self.thresholds = sorted(set(thresholds))
        self.probabilities = bool(self.thresholds)
        self.images = 0
        self.sums = [[0] * len(NAMES) for _ in self.thresholds or [None]]

    def add(self, prediction: Annotation, truth: Annotation) -> None:
        labels = truth.need("semantic").cpu().numpy()
        cells, _ = components((labels != self.membrane) & (labels != VOID), self.connectivity)
        if not cells.any():
            return
        self.images += 1
        for row, mask in zip(self.sums, self._masks(prediction), strict=True):
            found, _ = components(mask, self.connectivity)
            shared = agreement(thinned(found) if self.thin else found, cells)
            parts = _scores(_parts(shared)) if self.per_image else _parts(shared)
            row[:] = [total + round(value * UNIT) for total, value in zip(row, parts, strict=True)]

    def merge(self, other: Metric) -> None:
        assert isinstance(other, EmSegmentation)
        self.images += other.images
        self.sums = [[a + b for a, b in zip(*rows, strict=True)] for rows in zip(self.sums, other.sums, strict=True)]

    def compute(self) -> dict[str, float | None]:
        if not self.images:
            return dict.fromkeys([*NAMES, *(["v_rand_threshold", "v_info_threshold"] if self.thresholds else [])])
        if self.per_image:
            rows = [[total / UNIT / self.images for total in row] for row in self.sums]
        else:
            rows = [_scores([total / UNIT for total in row]) for row in self.sums]
        result: dict[str, float | None] = {}
        for first in (0, 3):
            best = max(range(len(rows)), key=lambda i, first=first: rows[i][first])
            result |= dict(zip(NAMES[first : first + 3], rows[best][first : first + 3], strict=True))
            if self.thresholds:
                result[f"{NAMES[first]}_threshold"] = self.thresholds[best]
        return result

    def _masks(self, prediction: Annotation) -> list[np.ndarray]:
        """Return the predicted cells as masks (H, W): per threshold, or one from the class map."""
        if self.thresholds:
            cell = 1 - prediction.need("probabilities")[self.membrane].cpu().numpy()
            return [cell > threshold for threshold in self.thresholds]
        return [prediction.need("semantic").cpu().numpy() != self.membrane]


def _parts(a: Agreement) -> list[float]:
    """Return the terms that are summed over images: pairs of pixels, and entropies times the number of pixels."""
    return [a.both, a.truth, a.found, *(a.pixels * x for x in (a.information, a.found_entropy, a.truth_entropy))]


def _scores(parts: Sequence[float]) -> list[float]:
    """Compute the scores of NAMES. Split scores fall if cells are divided, merge scores if cells are joined."""
    both, truth, found, information, found_entropy, truth_entropy = parts
    return [
        2 * both / (truth + found),
        both / truth,
        both / found,
        _ratio(2 * information, found_entropy + truth_entropy),
        _ratio(information, found_entropy),
        _ratio(information, truth_entropy),
    ]


def _ratio(shared: float, whole: float) -> float:
    """Divide; a single segment has no entropy and scores 1, because nothing is divided or joined."""
    return min(1.0, shared / whole) if whole > 1e-12 else 1.0
