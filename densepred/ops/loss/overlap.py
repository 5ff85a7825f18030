"""Soft overlap of prediction and ground truth as sums over pixels, and the losses made of them.

B images, K classes. The sums are (B, 3 K): intersections, predicted areas and true areas.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from densepred.nn import require_at_least_zero
from densepred.ops.loss.labels import at_least_float32, counted, one_hot, ratio
from densepred.ops.loss.softmax import Coefficients, Probabilities, SoftmaxLoss, Term
from densepred.ops.resize.resample import two_channels

TINY = 1e-12
"""The least loss of a class that is raised to a power."""


def overlap_sums(logits: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
    """Return intersections, predicted and true areas per class, (B, 3 K), for logits (B, K, H, W)."""
    logits, labels, weight = counted(logits, target, weight)
    truth = one_hot(labels, logits.shape[1]) * weight[:, None]
    predicted = logits.softmax(1)
    areas = (predicted * truth, predicted * weight[:, None], truth)
    return torch.cat([area.sum((2, 3)) for area in areas], 1)


class OverlapTerm:
    """The sums and the gradient of `overlap_sums` for one band of rows, in closed form."""

    def __init__(self, softmax: Probabilities) -> None:
        self.softmax, self.width = softmax, 3 * softmax.classes

    def sums(self) -> Tensor:
        return self.softmax.overlaps()

    def coefficients(self, grad: Tensor) -> Coefficients:
        softmax = self.softmax
        by_intersection, by_predicted, _ = grad.unflatten(1, (3, -1)).unbind(1)
        rise = by_intersection.gather(1, softmax.labels.flatten(1)).view_as(softmax.weight)
        rise.mul_(softmax.truth)
        mean = softmax.mean(by_predicted).add_(rise)
        return Coefficients(mean.mul_(softmax.weight).neg_(), rise.mul_(softmax.weight), by_predicted)


class OverlapLoss(SoftmaxLoss):
    """A formula of intersections, predicted and true areas per class, for a loss to inherit.

    Areas are those of the whole batch, or of each image with `per_image`. Classes without a pixel in the ground truth
    are left out, unless `include_absent`; so is class 0 without `include_background`. `smooth` is added to pixels.
    """

    def __init__(self, smooth: float, per_image: bool, include_background: bool, include_absent: bool) -> None:
        super().__init__()
        self.smooth = require_at_least_zero(smooth, "loss.smooth")
        self.which = per_image, include_background, include_absent

    def statistics(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        return overlap_sums(two_channels(at_least_float32(pred)), target, weight)

    def terms(self, softmax: Probabilities) -> list[Term]:
        return [OverlapTerm(softmax)]


Score = Callable[[Tensor, Tensor, Tensor], Tensor]
"""A function of intersections, predicted and true areas, each (N, K), to overlaps (N, K), 1 at best."""


def overlap_loss(
    sums: Tensor, score: Score, per_image: bool, background: bool, absent: bool, exponent: float = 1.0
) -> Tensor:
    """Return the mean of (1 - score)^exponent over the classes that count.

    A class counts if it has a pixel in the ground truth, or, with `absent`, if any pixel is labelled.
    """
    intersection, predicted, true, counts = counted_areas(sums, per_image, background, absent)
    lost = 1 - score(intersection, predicted, true)
    if exponent != 1:
        # A power under 1 has no gradient at 0.
        lost = torch.where(lost > TINY, lost.clamp_min(TINY).pow(exponent), torch.zeros_like(lost))
    return ratio((lost * counts).sum(), counts.sum())


def counted_areas(
    sums: Tensor, per_image: bool, background: bool, absent: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return intersections, predicted areas, true areas and a mask of classes that count.

    Each is (1, K), or (B, K) with `per_image`.
    """
    areas = sums.unflatten(1, (3, -1))
    areas = areas if per_image else areas.sum(0, keepdim=True)
    intersection, predicted, true = areas.unbind(1)
    counts = (true.sum(1, keepdim=True) > 0).expand_as(true) if absent else true > 0
    if not background:
        counts = counts & (torch.arange(true.shape[1], device=true.device) > 0)
    return intersection, predicted, true, counts


def dice_loss(sums: Tensor, smooth: float, per_image: bool, background: bool, absent: bool) -> Tensor:
    """Return 1 - mean of (2 intersection + smooth) / (predicted + true area + smooth) over the classes that count."""

    def score(intersection: Tensor, predicted: Tensor, true: Tensor) -> Tensor:
        return ratio(2 * intersection + smooth, predicted + true + smooth)

    return overlap_loss(sums, score, per_image, background, absent)


def tversky_loss(
    sums: Tensor,
    alpha: float,
    beta: float,
    smooth: float,
    per_image: bool,
    background: bool,
    absent: bool,
    exponent: float = 1.0,
) -> Tensor:
    """Return the mean of (1 - T)^exponent, T = (I + smooth) / (I + alpha (P - I) + beta (T - I) + smooth)."""

    def score(intersection: Tensor, predicted: Tensor, true: Tensor) -> Tensor:
        wrong = alpha * (predicted - intersection) + beta * (true - intersection)
        return ratio(intersection + smooth, intersection + wrong + smooth)

    return overlap_loss(sums, score, per_image, background, absent, exponent)


def generalised_dice_loss(sums: Tensor, power: float, per_image: bool, background: bool, absent: bool) -> Tensor:
    """Return 1 - 2 sum(w I) / sum(w (P + T)) over classes, w = 1 / T^power.

    A class that counts without a pixel in the ground truth has the largest weight of the others.
    Weights are divided by the largest, so that no square of an area leaves float32.
    """
    intersection, predicted, true, counts = counted_areas(sums, per_image, background, absent)
    seen, true = counts & (true > 0), true.detach()
    least = true.where(seen, torch.full_like(true, torch.inf)).amin(1, keepdim=True)
    weights = torch.where(seen, (least / true).pow(power), torch.ones_like(true)) * counts
    some = seen.any(1)
    whole = (weights * (predicted + true)).sum(1)
    lost = 1 - ratio(2 * (weights * intersection).sum(1), whole)
    return ratio((lost * some).sum(), some.sum())
