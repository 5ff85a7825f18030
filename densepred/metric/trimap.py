"""Region scores inside bands around the edges of the truth: how good a segmentation is at, and how near, its edges."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from densepred.contracts import Metric
from densepred.ops.regions.window import mixed
from densepred.ops.score.confusion import confusion, per_class, pixel_accuracy
from densepred.ops.score.requires import require
from densepred.types import VOID, Annotation, Info, UserError


class Trimap(Metric):
    """Mean IoU and pixel accuracy of the pixels near an edge, one of each a width. Kohli et al., IJCV 2009.

    A pixel is in the band of width w where its window of w pixels to each side holds two classes of the truth. With
    `void`, edges to void count too, as in the DeepLab papers. One confusion matrix a width over the whole dataset.
    """

    def __init__(self, info: Info, widths: Sequence[int] = (1, 2, 4, 8, 16, 32), void: bool = False) -> None:
        if not widths or any(not isinstance(w, int) or isinstance(w, bool) or w < 1 for w in widths):
            raise UserError(f"metric.trimap.widths: {list(widths)}; give whole numbers of pixels, 1 or more")
        self.classes = len(info.classes)
        self.widths = sorted(set(widths))
        self.void = void
        self.mode = {f"trimap_{score}/{w}": "max" for score in ("miou", "pixel_accuracy") for w in self.widths}
        self.matrices: Tensor = torch.zeros(len(self.widths), self.classes, self.classes + 1, dtype=torch.int64)

    def update(self, predictions: Sequence[Annotation], truths: Sequence[Annotation]) -> None:
        for prediction, truth in zip(predictions, truths, strict=True):
            require("trimap", prediction, truth, "semantic")
            assert prediction.semantic is not None
            assert truth.semantic is not None
            labels = truth.semantic.to(prediction.semantic.device)
            bands = [labels.masked_fill(~mixed(labels, width, self.void), VOID) for width in self.widths]
            found = [confusion(prediction.semantic, band, self.classes) for band in bands]
            self.matrices = self.matrices.to(labels.device) + torch.stack(found)

    def merge(self, other: Metric) -> None:
        assert isinstance(other, Trimap)
        self.matrices = self.matrices.cpu() + other.matrices.cpu()

    def __getstate__(self) -> dict[str, object]:
        """Between processes counts travel by the CPU: another process has another device."""
        return {**self.__dict__, "matrices": self.matrices.cpu()}

    def compute(self) -> dict[str, float | None]:
        result: dict[str, float | None] = {}
        for width, matrix in zip(self.widths, self.matrices.cpu(), strict=True):
            scores = {
                "miou": per_class(matrix)["iou"].nanmean().item(),
                "pixel_accuracy": pixel_accuracy(matrix).item(),
            }
            result |= {f"trimap_{name}/{width}": None if math.isnan(v) else v for name, v in scores.items()}
        return result
