"""Region scores of semantic segmentation, all from one confusion matrix over the dataset."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from densepred.contracts import Metric
from densepred.ops.score.confusion import confusion, per_class, pixel_accuracy
from densepred.ops.score.requires import require
from densepred.types import Annotation, Info

MEANS = {"iou": "miou", "dice": "mean_dice", "precision": "mean_precision", "recall": "mean_recall"}
"""The name of each score's mean over classes."""


class Confusion(Metric):
    """Pixel accuracy and, per class and as means over the classes that occur, IoU, Dice, precision and recall.

    Sums over the whole dataset, not means over images. Everingham et al., IJCV 2015 (the PASCAL VOC challenge) for IoU.
    """

    def __init__(self, info: Info) -> None:
        self.classes = info.classes
        each = [f"{score}/{name}" for score in MEANS for name in info.classes]
        self.mode = dict.fromkeys([*MEANS.values(), "pixel_accuracy", *each], "max")
        self.matrix: Tensor = torch.zeros(len(info.classes), len(info.classes) + 1, dtype=torch.int64)

    def update(self, predictions: Sequence[Annotation], truths: Sequence[Annotation]) -> None:
        for prediction, truth in zip(predictions, truths, strict=True):
            require("confusion", prediction, truth, "semantic")
            assert prediction.semantic is not None
            assert truth.semantic is not None
            labels = truth.semantic.to(prediction.semantic.device)
            self.matrix = self.matrix.to(labels.device) + confusion(prediction.semantic, labels, len(self.classes))

    def merge(self, other: Metric) -> None:
        assert isinstance(other, Confusion)
        self.matrix = self.matrix.cpu() + other.matrix.cpu()

    def __getstate__(self) -> dict[str, object]:
        """Between processes counts travel by the CPU: another process has another device."""
        return {**self.__dict__, "matrix": self.matrix.cpu()}

    def compute(self) -> dict[str, float | None]:
        matrix = self.matrix.cpu()
        scores = per_class(matrix)
        result = {name: _number(scores[score].nanmean()) for score, name in MEANS.items()}
        result["pixel_accuracy"] = _number(pixel_accuracy(matrix))
        for score, values in scores.items():
            result |= {f"{score}/{name}": _number(value) for name, value in zip(self.classes, values, strict=True)}
        return result


def _number(value: Tensor) -> float | None:
    number = value.item()
    return None if math.isnan(number) else number
