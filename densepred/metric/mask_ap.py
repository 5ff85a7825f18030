"""COCO's average precision of masks."""

from __future__ import annotations

from densepred.ops.score.coco_objects import ObjectAp, with_ignored_regions, with_masks
from densepred.types import Annotation


class MaskAp(ObjectAp):
    """Average precision and recall of masks, by pycocotools or hotcoco. Lin et al., ECCV 2014 (arXiv 1405.0312).

    Masks are `masks` if an annotation has them, else its map of instances; masks without a pixel do not count. The size
    of a ground-truth object is its entry in `areas`, else its number of pixels. Pixels of `ignore` that are on no crowd
    form a crowd of every class. `max_detections` and `prefix` are those of `ObjectAp`.
    """

    requires = (("instances", "masks"),)
    kind = "segm"

    def add(self, prediction: Annotation, truth: Annotation) -> None:
        found, true = with_masks(prediction, self.info), with_masks(truth, self.info, truth.areas)
        self.pairs.append((with_ignored_regions(truth, true, sorted({*found.categories.tolist()})), found))
