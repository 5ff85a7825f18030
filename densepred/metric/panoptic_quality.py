"""How good segments are, of things and of stuff alike."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from densepred.contracts import Metric
from densepred.ops.score.panoptic_quality import Regions, match, regions
from densepred.ops.score.requires import categories, provided, require
from densepred.types import Annotation, Info

ONE = 2**53
"""Floats of a half to 1 are whole multiples of 1 / ONE: counted in these, IoUs add up exactly, in any order."""


class PanopticQuality(Metric):
    """Panoptic, segmentation and recognition quality. Kirillov et al., CVPR 2019 (arXiv 1801.00868).

    Segments are the instances, and each class that is no thing where no instance is. Pixels of things without an
    instance are void in the truth and nothing in the prediction, as void labels and pixels to `ignore` are. What void
    and crowds excuse, see `ops/panoptic_quality.py`. `pq`, `sq` and `rq` are means over the classes that have a
    segment in truth or prediction that counts.
    """

    def __init__(self, info: Info) -> None:
        provided("panoptic_quality", info, "instances")
        provided("panoptic_quality", info, "semantic")
        self.info = info
        self.stuff = [c for c in range(len(info.classes)) if c not in info.things]
        groups = [f"{score}{group}" for group in ("", "_things", "_stuff") for score in ("pq", "sq", "rq")]
        self.mode = dict.fromkeys([*groups, *(f"pq/{name}" for name in info.classes)], "max")
        self.counts = np.zeros((len(info.classes), 3), np.int64)  # matches, wrong, missed
        self.overlaps = [0] * len(info.classes)  # sums of IoUs in multiples of 1 / ONE

    def update(self, predictions: Sequence[Annotation], truths: Sequence[Annotation]) -> None:
        for prediction, truth in zip(predictions, truths, strict=True):
            require("panoptic_quality", prediction, truth, "instances")
            require("panoptic_quality", prediction, truth, "semantic")
            assert prediction.instances is not None
            device = prediction.instances.device
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
        assert found.semantic is not None
        assert found.instances is not None
        semantic, instances = found.semantic.to(device), found.instances.to(device)
        return regions(semantic, instances, categories(found, self.info), self.stuff, crowd, ignore)


def _scores(overlaps: int, hits: int, wrong: int, missed: int) -> tuple[float, float, float] | None:
    """PQ, SQ and RQ of a class; None where it has no segment."""
    whole = hits + 0.5 * wrong + 0.5 * missed
    if not whole:
        return None
    overlap = overlaps / ONE
    return overlap / whole, overlap / hits if hits else 0.0, hits / whole
