"""COCO's average precision of boxes."""

from __future__ import annotations

from densepred.ops.score.coco_objects import ObjectAp, with_boxes, with_ignored_boxes
from densepred.types import Annotation


class BoxAp(ObjectAp):
    """Average precision and recall of boxes, by pycocotools or hotcoco. Lin et al., ECCV 2014 (arXiv 1405.0312).

    An annotation without boxes is evaluated by the boxes of its instances. The size of a ground-truth object is its
    entry in `areas`, else the area of its box. Where a share of a predicted box lies in pixels of `ignore`, it is no
    false positive up to that overlap. `max_detections` and `prefix` are those of `ObjectAp`.
    """

    requires = (("boxes", "instances"),)
    kind = "bbox"

    def add(self, prediction: Annotation, truth: Annotation) -> None:
        found = with_boxes(prediction, self.info)
        self.pairs.append((with_ignored_boxes(truth, with_boxes(truth, self.info, truth.areas), found), found))
