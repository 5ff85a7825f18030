"""COCO's average precision of boxes."""

from __future__ import annotations

from densepred.ops.score.coco_objects import ObjectAp, with_boxes
from densepred.types import Annotation


class BoxAp(ObjectAp):
    """Average precision and recall of boxes, by pycocotools or hotcoco. Lin et al., ECCV 2014 (arXiv 1405.0312).

    An annotation without boxes is evaluated by the boxes of its instances. The size of a ground-truth object is its
    entry in `areas`, else the area of its box. `max_detections` and `prefix` are those of `ObjectAp`.
    """

    requires = (("boxes", "instances"),)
    kind = "bbox"

    def add(self, prediction: Annotation, truth: Annotation) -> None:
        self.pairs.append((with_boxes(truth, self.info, truth.areas), with_boxes(prediction, self.info)))
