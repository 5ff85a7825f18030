"""Region scores of semantic segmentation from one confusion matrix over the dataset."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from densepred.contracts import Metric
from densepred.ops.score.confusion import confusion, per_class, pixel_accuracy
from densepred.types import Annotation, Info

MEANS = {"iou": "miou", "dice": "mean_dice", "precision": "mean_precision", "recall": "mean_recall"}
"""Name of the mean over classes, per score. Accuracy has none: with many classes it would be near 1 for any model."""


class Confusion(Metric):
    """Pixel accuracy; IoU, Dice, precision and recall per class and as means; accuracy per class.

    Pixels are summed over the whole dataset; there is no mean over images. IoU as in the PASCAL VOC challenge
    (Everingham et al., IJCV 2015).
    """

    requires = ("semantic",)

    def __init__(self, info: Info) -> None:
        self.classes = info.classes
        each = [f"{score}/{name}" for score in (*MEANS, "accuracy") for name in info.classes]
        self.mode = dict.fromkeys([*MEANS.values(), "pixel_accuracy", *each], "max")
        self.matrix: Tensor = torch.zeros(len(info.classes), len(info.classes) + 1, dtype=torch.int64)

    def add(self, prediction: Annotation, truth: Annotation) -> None:
        found = prediction.need("semantic")
        labels = truth.need("semantic").to(found.device)
        self.matrix = self.matrix.to(labels.device) + confusion(found, labels, len(self.classes))

    def merge(self, other: Metric) -> None:
        assert isinstance(other, Confusion)
        self.matrix = self.matrix.cpu() + other.matrix.cpu()

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
