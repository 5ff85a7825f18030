"""Confusion matrix, and the scores that follow from it."""

from __future__ import annotations

import torch
from torch import Tensor

from densepred.ops.regions.pair_counts import pair_table
from densepred.types import VOID, UserError

BYTES = VOID + 1
CHUNK = 2**17  # pixels per pass, so that the indices stay in the processor's cache


def confusion(prediction: Tensor, truth: Tensor, classes: int) -> Tensor:
    """Count pixels by (truth, prediction): class maps of equal shape -> (K, K + 1) int64.

    Pixels with VOID ground truth do not count. The last column holds predictions that are VOID or no class: false
    negatives of the true class, and false positives of none. Raises UserError if a label is no class and not VOID.

    >>> confusion(torch.tensor([0, 1, 255, 1]), torch.tensor([0, 0, 0, 255]), 2)
    tensor([[1, 1, 1],
            [0, 0, 0]])
    """
    guesses, labels = _as_bytes(prediction, "prediction"), _as_bytes(truth, "ground truth")
    count = _count_by_bytes if labels.device.type == "cpu" else _count_by_classes
    table = count(guesses, labels, classes)
    outside = table[classes:].sum(1)
    if outside.any():
        raise _outside(labels, classes, int(outside.sum()))
    return table[:classes]


def _count_by_bytes(prediction: Tensor, truth: Tensor, classes: int) -> Tensor:
    """Count all pairs of bytes, in which nothing needs masking, and then take classes from the table: (255, K + 1)."""
    pairs = zip(prediction.flatten().split(CHUNK), truth.flatten().split(CHUNK), strict=True)
    table = torch.zeros(BYTES, BYTES, dtype=torch.int64)
    for guess, label in pairs:
        table += pair_table(label, guess, BYTES, BYTES)
    return torch.cat((table[:VOID, :classes], table[:VOID, classes:].sum(1, keepdim=True)), 1)


def _count_by_classes(prediction: Tensor, truth: Tensor, classes: int) -> Tensor:
    """Count as `_count_by_bytes` in a small table, as an accelerator's shared memory holds it: (K + 1, K + 1).

    A count waits for the device: here once per map. The last row holds labels that are no class.
    """
    columns, rows = classes + 1, classes + 2
    known = truth.to(torch.int32).clamp(max=classes).masked_fill_(truth == VOID, columns)
    return pair_table(known, prediction.to(torch.int32).clamp(max=classes), rows, columns)[:columns]


def _as_bytes(labels: Tensor, what: str) -> Tensor:
    """Return a class map as uint8; raise UserError if it holds other numbers than 0 to 255."""
    if labels.dtype == torch.uint8 or not labels.numel():
        return labels.to(torch.uint8)
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high > VOID:
        raise UserError(f"{what}: holds {low if low < 0 else high}; a class map holds 0 to 254, and {VOID} for void")
    return labels.to(torch.uint8)


def _outside(labels: Tensor, classes: int, pixels: int) -> UserError:
    label = int(labels[(labels >= classes) & (labels != VOID)].max())
    return UserError(
        f"ground truth: {pixels} pixels hold labels that are no class, such as {label} of {classes} classes "
        f"(0 to {classes - 1}); correct the dataset, or map them by dataset.label_map ({VOID}: void)"
    )


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
