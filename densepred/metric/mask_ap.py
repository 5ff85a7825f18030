"""COCO's average precision of masks."""

from __future__ import annotations

from collections.abc import Sequence

from densepred.contracts import Metric
from densepred.ops.score.average_precision import Pair, curves, undefined
from densepred.ops.score.coco_objects import excused, judged, limits, masked
from densepred.ops.score.requires import provided, require
from densepred.types import Annotation, Info


class MaskAp(Metric):
    """Average precision and recall of masks as pycocotools counts them. Lin et al., ECCV 2014 (arXiv 1405.0312).

    `max_detections` says how many results of an image count, the best first: the largest for all scores, each other
    one for an `ar<number>` of its own. Masks are `masks` where an annotation has them, else its map of instances;
    those without a pixel do not count. The size of a truth is its entry in `areas`, else its pixels. What is to
    `ignore` and on no crowd is a crowd of every class. `prefix` stands before all names.
    """

    def __init__(self, info: Info, max_detections: Sequence[int] = (1, 10, 100), prefix: str = "") -> None:
        provided("mask_ap", info, "instances", "masks")
        self.info, self.classes, self.prefix = info, judged(info), prefix
        self.most = limits("metric.mask_ap.max_detections", max_detections)
        nothing = undefined(len(self.classes), len(self.most))
        self.mode = dict.fromkeys(nothing.summary(self.most, list(self.classes.values()), prefix), "max")
        self.pairs: list[Pair] = []

    def update(self, predictions: Sequence[Annotation], truths: Sequence[Annotation]) -> None:
        for prediction, truth in zip(predictions, truths, strict=True):
            require("mask_ap", prediction, truth, "instances", "masks")
            found, true = masked(prediction, self.info), masked(truth, self.info, truth.areas)
            self.pairs.append((excused(truth, true, sorted({*found.categories.tolist()})), found))

    def merge(self, other: Metric) -> None:
        assert isinstance(other, MaskAp)
        self.pairs = self.pairs + other.pairs

    def compute(self) -> dict[str, float | None]:
        found = curves(self.pairs, "segm", list(self.classes), self.most)
        return found.summary(self.most, list(self.classes.values()), self.prefix)
