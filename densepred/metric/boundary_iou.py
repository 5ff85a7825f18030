"""IoU along the outlines of classes: errors at edges count equally for small and large regions."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from densepred.contracts import Metric
from densepred.ops.regions.pair_counts import pair_table
from densepred.ops.regions.window import outline
from densepred.types import VOID, Annotation, Info, UserError


class BoundaryIou(Metric):
    """Boundary IoU of each class and its mean over the classes that occur. Cheng et al., CVPR 2021 (arXiv 2103.16562).

    The outline of a class consists of its pixels within d pixels (diagonals included) of another class, of void or of
    the image's edge. d is `ratio` times the image's diagonal, rounded, at least 1. Void pixels belong to no class,
    neither in the ground truth nor in the prediction. Pixels are summed over the whole dataset.
    """

    requires = ("semantic",)

    def __init__(self, info: Info, ratio: float = 0.02) -> None:
        if not 0 < ratio <= 1:
            raise UserError(f"metric.boundary_iou.ratio: {ratio}; give a fraction of the diagonal, such as 0.02")
        self.classes = info.classes
        self.ratio = ratio
        self.mode = dict.fromkeys(["boundary_iou", *(f"boundary_iou/{name}" for name in info.classes)], "max")
        count = len(info.classes) + 1
        self.matrix: Tensor = torch.zeros(count, count, dtype=torch.int64)

    def add(self, prediction: Annotation, truth: Annotation) -> None:
        found = prediction.need("semantic")
        labels = truth.need("semantic").to(found.device)
        guess = found.masked_fill(labels == VOID, VOID)
        self.matrix = self.matrix.to(labels.device) + self._count(guess, labels)

    def merge(self, other: Metric) -> None:
        assert isinstance(other, BoundaryIou)
        self.matrix = self.matrix.cpu() + other.matrix.cpu()

    def compute(self) -> dict[str, float | None]:
        matrix = self.matrix.cpu()
        hit = matrix.diagonal()
        union = (matrix.sum(0) + matrix.sum(1) - hit)[:-1].tolist()
        each = [h / u if u else None for h, u in zip(hit[:-1].tolist(), union, strict=True)]
        defined = [value for value in each if value is not None]
        mean = sum(defined) / len(defined) if defined else None
        return {"boundary_iou": mean} | {
            f"boundary_iou/{name}": value for name, value in zip(self.classes, each, strict=True)
        }

    def _count(self, guess: Tensor, labels: Tensor) -> Tensor:
        """Count pixels by (truth, prediction): (K + 1, K + 1), the last row and column off the outlines."""
        reach = max(1, round(self.ratio * math.hypot(*labels.shape)))
        off = len(self.classes)
        void = (
            labels == VOID
        )  # counted as off the outlines, which no score reads: to leave it out would wait for a device
        found, true = (x.clamp(max=off).masked_fill_(~outline(x, reach) | void, off) for x in (guess, labels))
        return pair_table(true, found, off + 1, off + 1)
