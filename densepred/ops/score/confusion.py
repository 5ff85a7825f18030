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
    return count(guesses, labels, classes)


def _count_by_bytes(prediction: Tensor, truth: Tensor, classes: int) -> Tensor:
    """Count all pairs of bytes, in which nothing needs masking, and then take the classes from the table."""
    pairs = zip(prediction.flatten().split(CHUNK), truth.flatten().split(CHUNK), strict=True)
    table = torch.zeros(BYTES, BYTES, dtype=torch.int64)
    for guess, label in pairs:
        table += pair_table(label, guess, BYTES, BYTES)
    if table[classes:VOID].any():
        raise _refused(truth, classes)
    return torch.cat((table[:classes, :classes], table[:classes, classes:].sum(1, keepdim=True)), 1)


def _count_by_classes(prediction: Tensor, truth: Tensor, classes: int) -> Tensor:
    """Count in a table that an accelerator's shared memory holds; it waits for the device once per map."""
    return _count_by_groups(prediction, truth, None, classes, 1)[0]


def confusions(prediction: Tensor, truth: Tensor, group: Tensor, classes: int, groups: int) -> Tensor:
    """Count as `confusion` does, in each group of pixels: (groups, K, K + 1) int64, in one pass.

    group: like the class maps, integers from 0 to groups - 1
    """
    return _count_by_groups(
        _as_bytes(prediction, "prediction"), _as_bytes(truth, "ground truth"), group, classes, groups
    )


def _count_by_groups(prediction: Tensor, truth: Tensor, group: Tensor | None, classes: int, groups: int) -> Tensor:
    """Count pairs of classes per group. A label of no class becomes a negative index.

    `bincount` refuses these without another wait for the device.
    """
    size = classes + 1
    known = truth.to(torch.int32).masked_fill_(truth == VOID, classes)
    if group is not None:
        known += group.to(torch.int32) * size
    known = known.masked_fill_(is_outside(truth, classes), -groups * size)
    try:
        table = pair_table(known, prediction.to(torch.int32).clamp(max=classes), groups * size, size)
        return table.view(groups, size, size)[:, :classes]
    except RuntimeError as error:
        if is_outside(truth, classes).any():
            raise _refused(truth, classes) from error
        raise


def _as_bytes(labels: Tensor, what: str) -> Tensor:
    """Return a class map as uint8; raise UserError if it holds other numbers than 0 to 255."""
    if labels.dtype == torch.uint8 or not labels.numel():
        return labels.to(torch.uint8)
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high > VOID:
        raise UserError(f"{what}: holds {low if low < 0 else high}; give classes from 0 to 254, and {VOID} for void")
    return labels.to(torch.uint8)


def is_outside(labels: Tensor, classes: int) -> Tensor:
    """Return where a class map holds neither a class nor VOID, (H, W) bool."""
    return (labels >= classes) & (labels != VOID)


def _refused(truth: Tensor, classes: int) -> UserError:
    bad = truth[is_outside(truth, classes)]
    return UserError(
        f"ground truth: {len(bad)} pixels hold labels that are no class, such as {int(bad.max())} of {classes} classes "
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
