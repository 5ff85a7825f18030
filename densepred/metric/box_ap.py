"""COCO's average precision of boxes."""

from __future__ import annotations

from collections.abc import Sequence

from densepred.contracts import Metric
from densepred.ops.score.average_precision import Pair, curves, undefined
from densepred.ops.score.coco_objects import detection_limits, object_classes, with_boxes
from densepred.types import Annotation, Info


class BoxAp(Metric):
    """Average precision and recall of boxes, by pycocotools or hotcoco. Lin et al., ECCV 2014 (arXiv 1405.0312).

    `max_detections` limits the predictions per image, best first: the largest limit holds for all scores, each other
    one gives its own `ar<number>`. An annotation without boxes is evaluated by the boxes of its instances. The size of
    a ground-truth object is its entry in `areas`, else the area of its box. All names begin with `prefix`.
    """

    requires = (("boxes", "instances"),)

    def __init__(self, info: Info, max_detections: Sequence[int] = (1, 10, 100), prefix: str = "") -> None:
        self.info, self.classes, self.prefix = info, object_classes(info), prefix
        self.most = detection_limits("metric.box_ap.max_detections", max_detections)
        nothing = undefined(len(self.classes), len(self.most))
        self.mode = dict.fromkeys(nothing.summary(self.most, list(self.classes.values()), prefix), "max")
        self.pairs: list[Pair] = []

    def add(self, prediction: Annotation, truth: Annotation) -> None:
        self.pairs.append((with_boxes(truth, self.info, truth.areas), with_boxes(prediction, self.info)))

    def merge(self, other: Metric) -> None:
        assert isinstance(other, BoxAp)
        self.pairs = self.pairs + other.pairs

    def compute(self) -> dict[str, float | None]:
        found = curves(self.pairs, "bbox", list(self.classes), self.most)
        return found.summary(self.most, list(self.classes.values()), self.prefix)
