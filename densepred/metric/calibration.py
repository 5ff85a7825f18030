"""Calibration error: the gap between the probability of the winning class and its accuracy."""

from __future__ import annotations

import torch
from torch import Tensor

from densepred.contracts import Metric
from densepred.types import VOID, Annotation, Info, UserError

BITS = 28
"""Confidences are counted in units of 2^-28: sums of integers are exact in any order, on any device."""


class Calibration(Metric):
    """Expected and largest calibration error of the winning class. Guo et al., ICML 2017 (arXiv 1706.04599).

    Known pixels of the whole dataset fall into `bins` equal bins (low, high] of their confidence, the probability of
    their winning class. With `table` the scores include the accuracy, mean confidence and fraction of pixels per bin.
    """

    requires = ("semantic",)
    probabilities = True
    mode = {"ece": "min", "mce": "min"}

    def __init__(self, info: Info, bins: int = 15, table: bool = True) -> None:
        if not 1 <= bins <= 1000:
            raise UserError(f"metric.calibration.bins: {bins}; give 1 to 1000")
        self.bins = bins
        self.table = table
        self.sums: Tensor = torch.zeros(3, bins, dtype=torch.int64)  # pixels, hits, confidence

    def add(self, prediction: Annotation, truth: Annotation) -> None:
        found = prediction.need("semantic")
        labels = truth.need("semantic").to(found.device)
        known = (labels != VOID).long()
        hit = (found == labels) * known
        # Void pixels count 0 instead of being left out: the number of the others would wait for the device.
        confidence = (prediction.need("probabilities").float().amax(0) * 2**BITS).round().nan_to_num().long() * known
        place = ((confidence * self.bins - 1) >> BITS).clamp(0, self.bins - 1).flatten()
        self.sums = self.sums.to(labels.device)
        for row, values in zip(self.sums, (known, hit, confidence), strict=True):
            row.index_add_(0, place, values.flatten())

    def merge(self, other: Metric) -> None:
        assert isinstance(other, Calibration)
        self.sums = self.sums.cpu() + other.sums.cpu()

    def compute(self) -> dict[str, float | None]:
        pixels, hits, units = self.sums.cpu().double()
        confidence, total = units / 2**BITS, pixels.sum().item()
        gaps = (hits - confidence).abs()
        result: dict[str, float | None] = {
            "ece": (gaps.sum() / total).item() if total else None,
            "mce": (gaps / pixels.clamp(min=1)).max().item() if total else None,
        }
        if self.table:
            for i, count in enumerate(pixels.tolist()):
                high = f"{(i + 1) / self.bins:.3f}"
                result[f"calibration_accuracy/{high}"] = hits[i].item() / count if count else None
                result[f"calibration_confidence/{high}"] = confidence[i].item() / count if count else None
                result[f"calibration_share/{high}"] = count / total if total else None
        return result
