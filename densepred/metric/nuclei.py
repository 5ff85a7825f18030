"""Scores of nuclei and cells: average precision over IoU thresholds and the aggregated Jaccard index."""

from __future__ import annotations

import numpy as np

from densepred.contracts import Metric
from densepred.nn import choose
from densepred.ops.regions.overlaps import Counts, Overlaps, overlaps
from densepred.types import VOID, Annotation, Info

PERCENT = tuple(range(50, 100, 5))
"""Thresholds of the IoU in percent: comparisons of integers are exact."""
UNIT = 2**40
"""Scores of images are summed as integers in units of 1 / UNIT, so that the order of images does not matter."""


class Nuclei(Metric):
    """Average precision over IoU thresholds (Data Science Bowl 2018) and the aggregated Jaccard index.

    - `nuclei_ap50` ... `nuclei_ap95`: TP / (TP + FP + FN) of instances with an IoU larger than 0.50 ... 0.95.
    - `nuclei_ap`: their mean.
    - `aji`: Kumar et al., IEEE TMI 2017 (doi 10.1109/TMI.2017.2677499).

    At most one pair per instance has an IoU above 0.5, so instances match one to one; as in the Bowl, exactly 0.5 is no
    match. With average="dataset" TP, FP and FN, and the pixels of `aji`, are summed over all images before they are
    divided. With "image" the scores of images are averaged, as in the Bowl; images with neither ground truth nor
    prediction are left out. Classes are not compared.

    Pixels of crowds, of void and of `ignore` are left out, as are unmatched predictions with at least half of their
    pixels there.
    """

    requires = ("instances",)
    mode = {"nuclei_ap": "max", "nuclei_ap50": "max", "nuclei_ap75": "max", "aji": "max"}

    def __init__(self, info: Info, average: str = "dataset") -> None:
        choose("metric.nuclei.average", average, ("dataset", "image"))
        self.per_image = average == "image"
        # Per threshold TP and TP + FP + FN, then intersection and union in pixels; or scores in UNITs and the number of
        # images that have one
        self.sums = np.zeros((len(PERCENT) + 1, 2), np.int64)

    def add(self, prediction: Annotation, truth: Annotation) -> None:
        parts = _image(prediction, truth)
        if self.per_image:
            parts = np.stack((_quotient(parts) * UNIT, parts[:, 1] > 0), 1).round().astype(np.int64)
        self.sums += parts

    def merge(self, other: Metric) -> None:
        assert isinstance(other, Nuclei)
        self.sums += other.sums

    def compute(self) -> dict[str, float | None]:
        names = [*(f"nuclei_ap{percent}" for percent in PERCENT), "aji"]
        scores = (_quotient(self.sums) / (UNIT if self.per_image else 1)).tolist()
        found = {n: s if total else None for n, s, total in zip(names, scores, self.sums[:, 1].tolist(), strict=True)}
        mean = float(np.mean(scores[:-1])) if self.sums[0, 1] else None
        return {"nuclei_ap": mean, **found}


def _image(prediction: Annotation, truth: Annotation) -> Counts:
    """Count one image: (T + 1, 2), per threshold TP and TP + FP + FN, then the pixels of intersection and union."""
    ids = truth.need("instances").cpu().numpy()
    evaluated = _evaluated(truth, ids)
    seen = prediction.need("instances").cpu().numpy()
    found = np.where(evaluated, seen, 0)
    truth_count, found_count = int(ids.max(initial=0)), int(seen.max(initial=0))
    shared = overlaps(found, np.where(evaluated, ids, 0), found_count, truth_count)
    areas = np.bincount(seen.reshape(-1), minlength=found_count + 1)[1:]
    counted = 2 * shared.found_areas > areas
    return np.concatenate((_matches(shared, counted), [_jaccard(shared, counted)]))


def _evaluated(truth: Annotation, ids: np.ndarray) -> np.ndarray:
    """Mark the pixels that are evaluated: (H, W) bool."""
    evaluated = np.ones(ids.shape, bool)
    if truth.crowd is not None:
        evaluated = ~np.concatenate(([False], truth.crowd.cpu().numpy()))[ids]
    if truth.semantic is not None:
        evaluated &= truth.semantic.cpu().numpy() != VOID
    if truth.ignore is not None:
        evaluated &= ~truth.ignore.cpu().numpy()
    return evaluated


def _matches(shared: Overlaps, counted: np.ndarray) -> Counts:
    """Count TP and TP + FP + FN per threshold: (T, 2)."""
    hit = 100 * shared.pixels[:, None] > np.array(PERCENT) * shared.unions[:, None]  # (P, T)
    true = hit.sum(0)
    matched = np.zeros((len(counted), len(PERCENT)), bool)
    pair, threshold = hit.nonzero()
    matched[shared.found[pair], threshold] = True
    false = (~matched & counted[:, None]).sum(0)
    missed = (shared.truth_areas > 0).sum() - true
    return np.stack((true, true + false + missed), 1)


def _jaccard(shared: Overlaps, counted: np.ndarray) -> tuple[int, int]:
    """Sum intersections and unions of each ground-truth instance and the prediction of largest IoU, in pixels.

    Of equal IoUs the first counts, and a prediction may be used several times. Unmatched instances of either side add
    to the union.
    """
    # The best pair per ground truth comes last: sort by ground truth, then IoU, then the earlier prediction
    order = np.lexsort((-shared.found, shared.pixels / shared.unions, shared.truth))
    last = np.append(np.diff(shared.truth[order]) > 0, True)[: len(order)]
    best = order[last]
    alone = counted.copy()
    alone[shared.found[best]] = False
    lonely = shared.truth_areas.sum() - shared.truth_areas[shared.truth[best]].sum()
    union = shared.unions[best].sum() + lonely + shared.found_areas[alone].sum()
    return int(shared.pixels[best].sum()), int(union)


def _quotient(sums: Counts) -> np.ndarray:
    """Divide the first column by the second; 0 where the second is 0."""
    return sums[:, 0] / np.maximum(sums[:, 1], 1)
