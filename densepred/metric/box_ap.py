"""COCO's average precision of boxes."""

from __future__ import annotations

from collections.abc import Sequence

from densepred.contracts import Metric
from densepred.ops.score.average_precision import Pair, curves, undefined
from densepred.ops.score.coco_objects import boxed, judged, limits
from densepred.ops.score.requires import provided, require
from densepred.types import Annotation, Info


class BoxAp(Metric):
    """Average precision and recall of boxes as pycocotools counts them. Lin et al., ECCV 2014 (arXiv 1405.0312).

    `max_detections` says how many results of an image count, the best first: the largest for all scores, each other
    one for an `ar<number>` of its own. Where an annotation has no boxes, those of its instances are judged. The size
    of a truth is its entry in `areas`, else the area of its box. `prefix` stands before all names.
    """

    def __init__(self, info: Info, max_detections: Sequence[int] = (1, 10, 100), prefix: str = "") -> None:
        provided("box_ap", info, "boxes", "instances")
        self.info, self.classes, self.prefix = info, judged(info), prefix
        self.most = limits("metric.box_ap.max_detections", max_detections)
        nothing = undefined(len(self.classes), len(self.most))
        self.mode = dict.fromkeys(nothing.summary(self.most, list(self.classes.values()), prefix), "max")
        self.pairs: list[Pair] = []

    def update(self, predictions: Sequence[Annotation], truths: Sequence[Annotation]) -> None:
        for prediction, truth in zip(predictions, truths, strict=True):
            require("box_ap", prediction, truth, "boxes", "instances")
            self.pairs.append((boxed(truth, self.info, truth.areas), boxed(prediction, self.info)))

    def merge(self, other: Metric) -> None:
        assert isinstance(other, BoxAp)
        self.pairs = self.pairs + other.pairs

    def compute(self) -> dict[str, float | None]:
        found = curves(self.pairs, "bbox", list(self.classes), self.most)
        return found.summary(self.most, list(self.classes.values()), self.prefix)
