"""The confusion matrix, and the numbers that follow from it."""

from __future__ import annotations

import torch
from torch import Tensor

from densepred.types import VOID

CHUNK = 2**18  # pixels a pass, so that the indices stay in the processor's cache


def confusion(prediction: Tensor, truth: Tensor, classes: int) -> Tensor:
    """Count pixels by (truth, prediction): class maps of equal shape -> (K, K + 1) int64.

    VOID truth does not count. The last column is for VOID predictions, which are wrong for their truth alone.

    >>> confusion(torch.tensor([0, 1, 255, 1]), torch.tensor([0, 0, 0, 255]), 2)
    tensor([[1, 1, 1],
            [0, 0, 0]])
    """
    columns = classes + 1
    cells = classes * columns
    total = torch.zeros(cells + 1, dtype=torch.int64, device=truth.device)
    for guess, label in zip(prediction.flatten().split(CHUNK), truth.flatten().split(CHUNK), strict=True):
        index = label.to(torch.int32).mul_(columns).add_(guess.clamp(max=classes))
        index.masked_fill_(label == VOID, cells)
        total += torch.bincount(index, minlength=cells + 1)
    return total[:cells].view(classes, columns)


def per_class(matrix: Tensor) -> dict[str, Tensor]:
    """IoU, Dice, precision and recall of each class, (K,) float64, from counts (K, K + 1).

    A class that neither truth nor prediction holds is NaN; one that only one of them holds is 0.
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
    }


def pixel_accuracy(matrix: Tensor) -> Tensor:
    """The share of counted pixels whose class is right; NaN where none counted."""
    return matrix.diagonal().sum().double() / matrix.sum().double()
