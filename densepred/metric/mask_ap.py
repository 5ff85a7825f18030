"""COCO's average precision of masks."""

from __future__ import annotations

from collections.abc import Sequence

from densepred.contracts import Metric
from densepred.ops.score.average_precision import Pair, curves, undefined
from densepred.ops.score.coco_objects import detection_limits, object_classes, with_ignored_regions, with_masks
from densepred.types import Annotation, Info


class MaskAp(Metric):
    """Average precision and recall of masks, by pycocotools or hotcoco. Lin et al., ECCV 2014 (arXiv 1405.0312).

    `max_detections` limits the predictions per image, best first: the largest limit holds for all scores, each other
    one gives its own `ar<number>`. Masks are `masks` if an annotation has them, else its map of instances; masks
    without a pixel do not count. The size of a ground-truth object is its entry in `areas`, else its number of pixels.
    Pixels of `ignore` that are on no crowd form a crowd of every class. All names begin with `prefix`.
    """

    requires = (("instances", "masks"),)

    def __init__(self, info: Info, max_detections: Sequence[int] = (1, 10, 100), prefix: str = "") -> None:
        self.info, self.classes, self.prefix = info, object_classes(info), prefix
        self.most = detection_limits("metric.mask_ap.max_detections", max_detections)
        nothing = undefined(len(self.classes), len(self.most))
        self.mode = dict.fromkeys(nothing.summary(self.most, list(self.classes.values()), prefix), "max")
        self.pairs: list[Pair] = []

    def add(self, prediction: Annotation, truth: Annotation) -> None:
        found, true = with_masks(prediction, self.info), with_masks(truth, self.info, truth.areas)
        self.pairs.append((with_ignored_regions(truth, true, sorted({*found.categories.tolist()})), found))

    def merge(self, other: Metric) -> None:
        assert isinstance(other, MaskAp)
        self.pairs = self.pairs + other.pairs

    def compute(self) -> dict[str, float | None]:
        found = curves(self.pairs, "segm", list(self.classes), self.most)
        return found.summary(self.most, list(self.classes.values()), self.prefix)
