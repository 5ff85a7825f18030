"""COCO's average precision of people, or of anything that has keypoints."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from densepred.contracts import Metric
from densepred.errors import Notice
from densepred.ops.score.average_precision import Objects, Pair, curves, undefined
from densepred.ops.score.coco_objects import jointed, judged, limits
from densepred.ops.score.requires import provided, require
from densepred.types import Annotation, Info

SIGMA = 0.05
"""What stands in for a sigma that nobody measured."""


class KeypointAp(Metric):
    """Average precision and recall by object keypoint similarity (OKS), as pycocotools counts them.

    OKS is the mean over the labelled keypoints of exp(-d^2 / (2 area (2 sigma)^2)), d the distance and sigma how far
    annotators of this keypoint differ. Areas and boxes are those of the truth. People without a labelled keypoint and
    crowds are not missed, and excuse results near their box. COCO gives no scores of small people; they are here too.

    Only classes of which the dataset labels a keypoint are judged. Results without categories are of the class that
    has keypoints; where several have, all count as one. `max_detections` results of an image count, the best first.
    `prefix` stands before all names.
    """

    def __init__(self, info: Info, max_detections: int = 20, prefix: str = "") -> None:
        provided("keypoint_ap", info, "keypoints")
        self.info, self.classes, self.prefix = info, judged(info), prefix
        self.most = limits("metric.keypoint_ap.max_detections", [max_detections])
        nothing = undefined(len(self.classes), 1).summary(self.most, list(self.classes.values()), prefix, strict=True)
        self.mode = dict.fromkeys(nothing, "max")
        self.pairs: list[Pair] = []
        self.unnamed = False  # whether a prediction has no categories

    def update(self, predictions: Sequence[Annotation], truths: Sequence[Annotation]) -> None:
        for prediction, truth in zip(predictions, truths, strict=True):
            require("keypoint_ap", prediction, truth, "keypoints")
            self.unnamed |= prediction.categories is None
            self.pairs.append((jointed(truth, self.info, truth=True), jointed(prediction, self.info)))

    def merge(self, other: Metric) -> None:
        assert isinstance(other, KeypointAp)
        self.unnamed |= other.unnamed
        self.pairs = self.pairs + other.pairs

    def compute(self) -> dict[str, float | None]:
        found: dict[str, float | None] = dict.fromkeys(self.mode)
        classes = sorted({c for truth, _ in self.pairs for c in _labelled(truth)})
        if not classes:
            return found
        pairs, names = self.pairs, [self.classes.get(c, str(c)) for c in classes]
        if self.unnamed:
            pairs = [(_as(truth, classes), _as(result)) for truth, result in pairs]
            names, classes = names if len(names) == 1 else [], [0]
        curve = curves(pairs, "keypoints", classes, self.most, self._sigmas())
        return found | curve.summary(self.most, names, self.prefix, strict=True)

    def _sigmas(self) -> tuple[float, ...]:
        count, known = len(self.info.keypoints), self.info.sigmas
        if known and (len(set(known)) > 1 or count == 1):
            return known
        sigmas = known or (SIGMA,) * count
        warnings.warn(
            f"keypoint_ap: nobody measured sigmas for these {count} keypoints, {sigmas[0]} stands in for each; "
            "its scores compare only with others by the same",
            Notice,
            stacklevel=1,
        )
        return sigmas


def _labelled(truth: Objects) -> set[int]:
    """The classes of which a keypoint is labelled."""
    assert truth.keypoints is not None
    return set(truth.categories[(truth.keypoints[..., 2] > 0).any(1)].tolist())


def _as(found: Objects, classes: Sequence[int] | None = None) -> Objects:
    """Class 0 for all that is of one of the classes, -1, which is not judged, for the rest."""
    kept = np.ones(len(found.categories), bool) if classes is None else np.isin(found.categories, classes)
    return replace(found, categories=np.where(kept, 0, -1))
