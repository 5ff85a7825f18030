"""Soft overlap of prediction and truth as sums over pixels, and the Dice loss made of them.

B images, K classes. The sums are (B, 3 K): intersections, predicted areas and true areas.
"""

from __future__ import annotations

import torch
from torch import Tensor

from densepred.ops.labels import counting, one_hot, ratio, sum_by_label
from densepred.ops.softmax import Coefficients, Softmax


def overlap_sums(logits: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
    """Logits (B, K, H, W) in float32 or more."""
    labels, weight = counting(target, weight, logits.dtype)
    truth = one_hot(labels, logits.shape[1]) * weight[:, None]
    predicted = logits.softmax(1)
    areas = (predicted * truth, predicted * weight[:, None], truth)
    return torch.cat([area.sum((2, 3)) for area in areas], 1)


class OverlapTerm:
    """The same of a band, in closed form."""

    def __init__(self, softmax: Softmax) -> None:
        self.softmax, self.width = softmax, 3 * softmax.classes

    def sums(self) -> Tensor:
        softmax = self.softmax
        truth = softmax.truth * softmax.weight
        return torch.cat(
            [
                sum_by_label(truth, softmax.labels, softmax.classes),
                softmax.areas(),
                sum_by_label(softmax.weight, softmax.labels, softmax.classes),
            ],
            1,
        )

    def coefficients(self, grad: Tensor) -> Coefficients:
        softmax = self.softmax
        by_intersection, by_predicted, _ = grad.unflatten(1, (3, -1)).unbind(1)
        rise = by_intersection.gather(1, softmax.labels.flatten(1)).view_as(softmax.weight)
        rise.mul_(softmax.truth)
        mean = torch.einsum("bk,bkrw->brw", by_predicted, softmax.exponentials).div_(softmax.total).add_(rise)
        return Coefficients(mean.mul_(softmax.weight).neg_(), rise.mul_(softmax.weight), by_predicted)


def dice_loss(sums: Tensor, smooth: float, per_image: bool, background: bool, absent: bool) -> Tensor:
    """1 - the mean of (2 intersection + smooth) / (predicted + true area + smooth) over the classes that count.

    A class counts where the truth holds it, or, with `absent`, wherever the truth holds anything.
    """
    areas = sums.unflatten(1, (3, -1))
    areas = areas if per_image else areas.sum(0, keepdim=True)
    intersection, predicted, true = areas.unbind(1)
    counts = (true.sum(1, keepdim=True) > 0).expand_as(true) if absent else true > 0
    lost = (1 - ratio(2 * intersection + smooth, predicted + true + smooth)) * counts
    first = 0 if background else 1
    return ratio(lost[:, first:].sum(), counts[:, first:].sum())
