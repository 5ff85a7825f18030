"""Cross-entropy as sums over pixels: the two that torch.nn.functional.cross_entropy divides, per image.

B images, K classes. With smoothing e the target is (1 - e) one-hot + e / K.
"""

from __future__ import annotations

import torch
from torch import Tensor

from densepred.ops.loss.labels import counted, scaled
from densepred.ops.loss.softmax import Coefficients, Probabilities


def cross_entropy_sums(
    logits: Tensor, target: Tensor, weight: Tensor | None, class_weights: Tensor | None, smoothing: float
) -> Tensor:
    """Return the weighted losses and the weights, summed per image: (B, 2). Logits (B, K, H, W), float32 or more."""
    logits, labels, weight = counted(logits, target, weight)
    scores = logits.log_softmax(1)
    truth_weight = scaled(weight, class_weights, labels)
    loss = -(1 - smoothing) * truth_weight * scores.gather(1, labels[:, None])[:, 0]
    average = smoothed(logits, class_weights, smoothing)
    if average is not None:
        loss = loss - weight * (scores * average[:, None, None]).sum(1)
    return torch.stack([loss.sum((1, 2)), truth_weight.sum((1, 2))], 1)


def smoothed(logits: Tensor, class_weights: Tensor | None, smoothing: float) -> Tensor | None:
    """Return the share of each class that smoothing adds to the target, times its weight, (K,); None without it."""
    if not smoothing:
        return None
    classes = logits.shape[1]
    return smoothing / classes * (logits.new_ones(classes) if class_weights is None else class_weights)


class CrossEntropyTerm:
    """The sums and the gradient of cross-entropy for one band of rows, in closed form."""

    width = 2

    def __init__(self, softmax: Probabilities, class_weights: Tensor | None, smoothing: float) -> None:
        self.softmax, self.sharp = softmax, 1 - smoothing
        self.truth_weight = scaled(softmax.weight, class_weights, softmax.labels)
        self.average = smoothed(softmax.like, class_weights, smoothing)

    def sums(self) -> Tensor:
        softmax = self.softmax
        loss = (softmax.log_truth * self.truth_weight).mul_(-self.sharp)
        if self.average is not None:
            loss -= softmax.mean_log(self.average).mul_(softmax.weight)
        return torch.stack([loss.sum((1, 2)), self.truth_weight.sum((1, 2))], 1)

    def coefficients(self, grad: Tensor) -> Coefficients:
        grad = grad[:, :1]
        truth = self.truth_weight * (self.sharp * grad)[..., None]
        if self.average is None:
            return Coefficients(truth, -truth)
        even = (self.average.sum() * grad)[..., None] * self.softmax.weight
        return Coefficients(truth + even, -truth, constant=-grad * self.average)
