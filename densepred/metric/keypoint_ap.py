"""COCO's average precision of people or other objects with keypoints."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from densepred.contracts import Metric
from densepred.errors import Notice
from densepred.ops.score.average_precision import Objects, Pair, curves, undefined
from densepred.ops.score.coco_objects import detection_limits, object_classes, with_keypoints
from densepred.types import Annotation, Info

SIGMA = 0.05
"""Replaces sigmas that were not measured."""


class KeypointAp(Metric):
    """Average precision and recall by object keypoint similarity (OKS), counted by pycocotools or hotcoco.

    OKS is the mean over the labelled keypoints of exp(-d^2 / (2 area (2 sigma)^2)): d is the distance, sigma the
    deviation among annotators of this keypoint. Areas and boxes are those of the ground truth. People without a
    labelled keypoint and crowds count as ignore regions: they are no false negatives, and detections matched to them
    no false positives. COCO reports no scores of small people; they are included here.

    Only classes with a labelled keypoint in the dataset are evaluated. Predictions without categories belong to the
    class that has keypoints; if several have, all count as one class. `max_detections` limits the predictions per
    image, best first. All names begin with `prefix`.
    """

    requires = ("keypoints",)

    def __init__(self, info: Info, max_detections: int = 20, prefix: str = "") -> None:
        self.info, self.classes, self.prefix = info, object_classes(info), prefix
        self.most = detection_limits("metric.keypoint_ap.max_detections", [max_detections])
        nothing = undefined(len(self.classes), 1).summary(self.most, list(self.classes.values()), prefix, strict=True)
        self.mode = dict.fromkeys(nothing, "max")
        self.pairs: list[Pair] = []
        self.unnamed = False  # whether a prediction has no categories

    def add(self, prediction: Annotation, truth: Annotation) -> None:
        self.unnamed |= prediction.categories is None
        self.pairs.append((with_keypoints(truth, self.info, truth=True), with_keypoints(prediction, self.info)))

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
            f"keypoint_ap: the dataset has no sigmas for its {count} keypoints, so {sigmas[0]} is used for each; "
            "compare the scores only with others that use the same",
            Notice,
            stacklevel=1,
        )
        return sigmas


def _labelled(truth: Objects) -> set[int]:
    """Return the classes that have a labelled keypoint."""
    assert truth.keypoints is not None
    return set(truth.categories[(truth.keypoints[..., 2] > 0).any(1)].tolist())


def _as(found: Objects, classes: Sequence[int] | None = None) -> Objects:
    """Set the category of objects of these classes to 0, of the rest to -1, which is not evaluated."""
    kept = np.ones(len(found.categories), bool) if classes is None else np.isin(found.categories, classes)
    return replace(found, categories=np.where(kept, 0, -1))
