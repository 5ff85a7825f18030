"""Panoptic quality: one score for segments of things and of stuff."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from densepred.contracts import Metric
from densepred.ops.score.panoptic_quality import Regions, match, regions
from densepred.types import Annotation, Info

ONE = 2**53
"""Floats from 0.5 to 1 are integer multiples of 1 / ONE: in this unit sums of IoUs are exact in any order."""


class PanopticQuality(Metric):
    """Panoptic, segmentation and recognition quality. Kirillov et al., CVPR 2019 (arXiv 1801.00868).

    Segments are the instances, and per stuff class its pixels outside instances. Pixels of things without an instance
    are void in the ground truth and nothing in the prediction, as are void labels and pixels of `ignore`. The rules for
    void and crowds stand in `ops/score/panoptic_quality.py`. `pq`, `sq` and `rq` are means over the classes with a
    segment that counts, in ground truth or prediction.
    """

    requires = ("instances", "semantic")

    def __init__(self, info: Info) -> None:
        self.info = info
        self.stuff = [c for c in range(len(info.classes)) if c not in info.things]
        groups = [f"{score}{group}" for group in ("", "_things", "_stuff") for score in ("pq", "sq", "rq")]
        self.mode = dict.fromkeys([*groups, *(f"pq/{name}" for name in info.classes)], "max")
        self.counts = np.zeros((len(info.classes), 3), np.int64)  # matches, wrong, missed
        self.overlaps = [0] * len(info.classes)  # sums of IoUs in units of 1 / ONE

    def add(self, prediction: Annotation, truth: Annotation) -> None:
        device = prediction.need("instances").device
        found = match(self._regions(truth, device, truth.crowd, truth.ignore), self._regions(prediction, device))
        for column, classes in enumerate((found.hits, found.wrong, found.missed)):
            self.counts[:, column] += np.bincount(classes, minlength=len(self.counts))
        for category, overlap in zip(found.hits.tolist(), found.overlaps.tolist(), strict=True):
            self.overlaps[category] += int(overlap * ONE)

    def merge(self, other: Metric) -> None:
        assert isinstance(other, PanopticQuality)
        self.counts = self.counts + other.counts
        self.overlaps = [a + b for a, b in zip(self.overlaps, other.overlaps, strict=True)]

    def compute(self) -> dict[str, float | None]:
        scores = [_scores(o, *row) for o, row in zip(self.overlaps, self.counts.tolist(), strict=True)]
        groups = {"": range(len(scores)), "_things": self.info.things, "_stuff": self.stuff}
        result: dict[str, float | None] = {}
        for group, classes in groups.items():
            known = [found for c in classes if (found := scores[c]) is not None]
            for i, score in enumerate(("pq", "sq", "rq")):
                result[score + group] = math.fsum(found[i] for found in known) / len(known) if known else None
        each = zip(self.info.classes, scores, strict=True)
        return result | {f"pq/{name}": None if found is None else found[0] for name, found in each}

    def _regions(
        self, found: Annotation, device: torch.device, crowd: Tensor | None = None, ignore: Tensor | None = None
    ) -> Regions:
        semantic, instances = (found.need(name).to(device) for name in ("semantic", "instances"))
        return regions(semantic, instances, found.class_ids(self.info), self.stuff, crowd, ignore)


def _scores(overlaps: int, hits: int, wrong: int, missed: int) -> tuple[float, float, float] | None:
    """Compute PQ, SQ and RQ of a class; None if it has no segment."""
    whole = hits + 0.5 * wrong + 0.5 * missed
    if not whole:
        return None
    overlap = overlaps / ONE
    return overlap / whole, overlap / hits if hits else 0.0, hits / whole
