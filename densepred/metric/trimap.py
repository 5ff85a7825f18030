"""Region scores inside bands of several widths around the edges of the ground truth."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from densepred.contracts import Metric
from densepred.ops.regions.window import mixed
from densepred.ops.score.confusion import confusions, per_class, pixel_accuracy
from densepred.types import Annotation, Info, UserError


class Trimap(Metric):
    """Mean IoU and pixel accuracy of the pixels near an edge, per width of the band. Kohli et al., IJCV 2009.

    A pixel is in the band of width w if its window of w pixels to each side holds two classes of the ground truth. With
    `void`, edges to void count too, as in the DeepLab papers. One confusion matrix per width over the whole dataset.
    """

    requires = ("semantic",)

    def __init__(self, info: Info, widths: Sequence[int] = (1, 2, 4, 8, 16, 32), void: bool = False) -> None:
        if not widths or any(not isinstance(w, int) or isinstance(w, bool) or w < 1 for w in widths):
            raise UserError(f"metric.trimap.widths: {list(widths)}; give integers of 1 pixel or more")
        self.classes = len(info.classes)
        self.widths = sorted(set(widths))
        self.void = void
        self.mode = {f"trimap_{score}/{w}": "max" for score in ("miou", "pixel_accuracy") for w in self.widths}
        self.matrices: Tensor = torch.zeros(len(self.widths), self.classes, self.classes + 1, dtype=torch.int64)

    def add(self, prediction: Annotation, truth: Annotation) -> None:
        found = prediction.need("semantic")
        labels = truth.need("semantic").to(found.device)
        # A band lies within the next one, so pixels are counted once, by the first band that holds them.
        first = torch.zeros_like(labels)
        for width in self.widths:
            first += ~mixed(labels, width, self.void)
        count = len(self.widths)
        matrices = confusions(found, labels, first, self.classes, count + 1)[:count].cumsum(0)
        self.matrices = self.matrices.to(labels.device) + matrices

    def merge(self, other: Metric) -> None:
        assert isinstance(other, Trimap)
        self.matrices = self.matrices.cpu() + other.matrices.cpu()

    def compute(self) -> dict[str, float | None]:
        result: dict[str, float | None] = {}
        for width, matrix in zip(self.widths, self.matrices.cpu(), strict=True):
            scores = {
                "miou": per_class(matrix)["iou"].nanmean().item(),
                "pixel_accuracy": pixel_accuracy(matrix).item(),
            }
            result |= {f"trimap_{name}/{width}": None if math.isnan(v) else v for name, v in scores.items()}
        return result
