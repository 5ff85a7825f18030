"""The scores by which nuclei and cells are judged: average precision over IoU thresholds and the Jaccard index."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from densepred.contracts import Metric
from densepred.nn import choose
from densepred.ops.regions.overlaps import Counts, Overlaps, overlaps
from densepred.ops.score.requires import provided, require
from densepred.types import VOID, Annotation, Info

PERCENT = tuple(range(50, 100, 5))
"""Thresholds of the IoU, whole numbers so that whether one is passed is exact."""
UNIT = 2**40
"""Means of images are sums of whole numbers of 1 / UNIT, so that they are equal in whatever order images are added."""


class Nuclei(Metric):
    """`nuclei_ap50` ... `nuclei_ap95` are TP / (TP + FP + FN) of instances whose IoU is larger than 0.50 ... 0.95, and
    `nuclei_ap` is their mean: the score of the Data Science Bowl 2018. `aji` is the aggregated Jaccard index of Kumar
    et al., IEEE TMI 2017 (doi 10.1109/TMI.2017.2677499).

    An IoU above one half belongs to one pair at most, so that instances match one to one; as in the Bowl, one of
    exactly 0.5 does not pass. With average="dataset" TP, FP and FN, and the pixels of `aji`, are summed over all images
    before they are divided; with "image" the scores of images are averaged, as in the Bowl, leaving out those
    where there is neither truth nor prediction. Classes are not compared.

    Pixels are left out where the truth has a crowd, is void or says `ignore`; so is a prediction without a match of
    which half or more lies there.
    """

    mode = {"nuclei_ap": "max", "nuclei_ap50": "max", "nuclei_ap75": "max", "aji": "max"}

    def __init__(self, info: Info, average: str = "dataset") -> None:
        choose("metric.nuclei.average", average, ("dataset", "image"))
        provided("nuclei", info, "instances")
        self.per_image = average == "image"
        # Of each threshold TP and TP + FP + FN, then of pixels the intersection and the union; or scores in UNITs and
        # the images that have one
        self.sums = np.zeros((len(PERCENT) + 1, 2), np.int64)

    def update(self, predictions: Sequence[Annotation], truths: Sequence[Annotation]) -> None:
        for prediction, truth in zip(predictions, truths, strict=True):
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
    """(T + 1, 2): of each threshold TP and TP + FP + FN, then the pixels of the intersection and union of `aji`."""
    require("nuclei", prediction, truth, "instances")
    assert prediction.instances is not None
    assert truth.instances is not None
    ids = truth.instances.cpu().numpy()
    judged = _judged(truth, ids)
    seen = prediction.instances.cpu().numpy()
    found = np.where(judged, seen, 0)
    truth_count, found_count = int(ids.max(initial=0)), int(seen.max(initial=0))
    shared = overlaps(found, np.where(judged, ids, 0), found_count, truth_count)
    areas = np.bincount(seen.reshape(-1), minlength=found_count + 1)[1:]
    counted = 2 * shared.found_areas > areas
    return np.concatenate((_matches(shared, counted), [_jaccard(shared, counted)]))


def _judged(truth: Annotation, ids: np.ndarray) -> np.ndarray:
    """(H, W) bool."""
    judged = np.ones(ids.shape, bool)
    if truth.crowd is not None:
        judged = ~np.concatenate(([False], truth.crowd.cpu().numpy()))[ids]
    if truth.semantic is not None:
        judged &= truth.semantic.cpu().numpy() != VOID
    if truth.ignore is not None:
        judged &= ~truth.ignore.cpu().numpy()
    return judged


def _matches(shared: Overlaps, counted: np.ndarray) -> Counts:
    """(T, 2): TP and TP + FP + FN at each threshold."""
    hit = 100 * shared.pixels[:, None] > np.array(PERCENT) * shared.unions[:, None]  # (P, T)
    true = hit.sum(0)
    matched = np.zeros((len(counted), len(PERCENT)), bool)
    pair, threshold = hit.nonzero()
    matched[shared.found[pair], threshold] = True
    false = (~matched & counted[:, None]).sum(0)
    missed = (shared.truth_areas > 0).sum() - true
    return np.stack((true, true + false + missed), 1)


def _jaccard(shared: Overlaps, counted: np.ndarray) -> tuple[int, int]:
    """Intersection and union of each true instance and the predicted one of largest IoU, the first of equal ones.

    A predicted instance may serve several. True ones without a partner and predicted ones that serve none add to the
    union.
    """
    # Of each truth the best pair comes last: by truth, then IoU, then the earlier prediction
    order = np.lexsort((-shared.found, shared.pixels / shared.unions, shared.truth))
    last = np.append(np.diff(shared.truth[order]) > 0, True)[: len(order)]
    best = order[last]
    alone = counted.copy()
    alone[shared.found[best]] = False
    lonely = shared.truth_areas.sum() - shared.truth_areas[shared.truth[best]].sum()
    union = shared.unions[best].sum() + lonely + shared.found_areas[alone].sum()
    return int(shared.pixels[best].sum()), int(union)


def _quotient(sums: Counts) -> np.ndarray:
    """Part / whole of each row (part, whole), 0 where the whole is nothing."""
    return sums[:, 0] / np.maximum(sums[:, 1], 1)
