"""IoU along the outlines of classes: errors at edges count, whatever the size of what they bound."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from densepred.contracts import Metric
from densepred.ops.regions.window import outline
from densepred.ops.score.requires import require
from densepred.types import VOID, Annotation, Info, UserError


class BoundaryIou(Metric):
    """Boundary IoU of each class and its mean over the classes that occur. Cheng et al., CVPR 2021 (arXiv 2103.16562).

    The outline of a class are its pixels within d pixels (diagonals included) of another class, of void or of the
    image's edge; d is `ratio` times the image's diagonal, rounded, at least 1. Void pixels belong to no class, neither
    in the truth nor in the prediction. Pixels are added up over the whole dataset.
    """

    def __init__(self, info: Info, ratio: float = 0.02) -> None:
        if not 0 < ratio <= 1:
            raise UserError(f"metric.boundary_iou.ratio: {ratio}; give a share of the diagonal, such as 0.02")
        self.classes = info.classes
        self.ratio = ratio
        self.mode = dict.fromkeys(["boundary_iou", *(f"boundary_iou/{name}" for name in info.classes)], "max")
        count = len(info.classes) + 1
        self.matrix: Tensor = torch.zeros(count, count, dtype=torch.int64)

    def update(self, predictions: Sequence[Annotation], truths: Sequence[Annotation]) -> None:
        for prediction, truth in zip(predictions, truths, strict=True):
            require("boundary_iou", prediction, truth, "semantic")
            assert prediction.semantic is not None
            assert truth.semantic is not None
            labels = truth.semantic.to(prediction.semantic.device)
            guess = prediction.semantic.masked_fill(labels == VOID, VOID)
            self.matrix = self.matrix.to(labels.device) + self._count(guess, labels)

    def merge(self, other: Metric) -> None:
        assert isinstance(other, BoundaryIou)
        self.matrix = self.matrix.cpu() + other.matrix.cpu()

    def __getstate__(self) -> dict[str, object]:
        """Between processes counts travel by the CPU: another process has another device."""
        return {**self.__dict__, "matrix": self.matrix.cpu()}

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
        """Known pixels by (truth, prediction), (K + 1, K + 1), the last row and column for those off the outlines."""
        reach = max(1, round(self.ratio * math.hypot(*labels.shape)))
        off = len(self.classes)
        on = [x.to(torch.int32).masked_fill_(~outline(x, reach), off) for x in (guess, labels)]
        cells = on[1].mul_(off + 1).add_(on[0])[labels != VOID]
        return torch.bincount(cells, minlength=(off + 1) ** 2).view(off + 1, off + 1)
