"""Confusion matrix, and the scores that follow from it."""

from __future__ import annotations

import torch
from torch import Tensor

from densepred.ops.regions.pair_counts import pair_table
from densepred.types import VOID

CHUNK = 2**18  # pixels per pass, so that the indices stay in the processor's cache


def confusion(prediction: Tensor, truth: Tensor, classes: int) -> Tensor:
    """Count pixels by (truth, prediction): class maps of equal shape -> (K, K + 1) int64.

    Pixels with VOID ground truth do not count. The last column holds VOID predictions: false negatives of the true
    class, and false positives of none.

    >>> confusion(torch.tensor([0, 1, 255, 1]), torch.tensor([0, 0, 0, 255]), 2)
    tensor([[1, 1, 1],
            [0, 0, 0]])
    """
    columns = classes + 1
    total = torch.zeros(columns, columns, dtype=torch.int64, device=truth.device)
    # A count waits for the device: on an accelerator once per map, not once per part of it.
    most = CHUNK if truth.device.type == "cpu" else max(1, truth.numel())
    for guess, label in zip(prediction.flatten().split(most), truth.flatten().split(most), strict=True):
        known = label.masked_fill(label == VOID, classes)
        total += pair_table(known, guess.clamp(max=classes), columns, columns)
    return total[:classes]


def per_class(matrix: Tensor) -> dict[str, Tensor]:
    """Compute IoU, Dice, precision, recall and accuracy per class, (K,) float64, from counts (K, K + 1).

    A class without pixels in ground truth and prediction is NaN; one with pixels in only one of them is 0,
    except in accuracy, the fraction of all pixels that are right about the class: (TP + TN) / all.
    """
    hit = matrix.diagonal().double()
    truth, guess = matrix.sum(1).double(), matrix[:, :-1].sum(0).double()
    present = (truth + guess) > 0

    def ratio(numerator: Tensor, denominator: Tensor) -> Tensor:
        value = numerator / denominator.clamp(min=1)
        return torch.where(present, value, torch.nan)

    return {
        "iou": ratio(hit, truth + guess - hit),
        "dice": ratio(2 * hit, truth + guess),
        "precision": ratio(hit, guess),
        "recall": ratio(hit, truth),
        "accuracy": ratio(matrix.sum() - (truth - hit) - (guess - hit), matrix.sum().double()),
    }


def pixel_accuracy(matrix: Tensor) -> Tensor:
    """Compute the fraction of counted pixels with the right class; NaN if none counted."""
    return matrix.diagonal().sum().double() / matrix.sum().double()
