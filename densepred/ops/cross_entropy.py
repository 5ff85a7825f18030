"""Cross-entropy as sums over pixels: what torch.nn.functional.cross_entropy divides by what, for each image.

B images, K classes. With smoothing e the truth is (1 - e) one-hot + e / K.
"""

from __future__ import annotations

import torch
from torch import Tensor

from densepred.ops.labels import counting
from densepred.ops.softmax import Coefficients, Softmax


def cross_entropy_sums(
    logits: Tensor, target: Tensor, weight: Tensor | None, class_weights: Tensor, smoothing: float
) -> Tensor:
    """(B, 2): the weighted losses and the weights. Logits (B, K, H, W) in float32 or more."""
    labels, weight = counting(target, weight, logits.dtype)
    scores = logits.log_softmax(1)
    truth_weight = class_weights[labels]
    loss = -(1 - smoothing) * truth_weight * scores.gather(1, labels[:, None])[:, 0]
    if smoothing:
        loss = loss - smoothing / len(class_weights) * (scores * class_weights[:, None, None]).sum(1)
    return torch.stack([(loss * weight).sum((1, 2)), (truth_weight * weight).sum((1, 2))], 1)


class CrossEntropyTerm:
    """The same of a band, in closed form."""

    width = 2

    def __init__(self, softmax: Softmax, class_weights: Tensor, smoothing: float) -> None:
        """With smoothing the softmax was asked for the average by `class_weights`."""
        self.softmax, self.class_weights = softmax, class_weights
        self.even = smoothing / len(class_weights)
        self.sharp = 1 - smoothing
        self.truth_weight = class_weights[softmax.labels].mul_(softmax.weight)

    def sums(self) -> Tensor:
        loss = self.truth_weight * self.softmax.log_truth * -self.sharp
        if self.softmax.log_average is not None:
            loss -= self.softmax.log_average * self.softmax.weight * self.even
        return torch.stack([loss.sum((1, 2)), self.truth_weight.sum((1, 2))], 1)

    def coefficients(self, grad: Tensor) -> Coefficients:
        grad = grad[:, :1]
        truth = self.truth_weight * (self.sharp * grad)[..., None]
        if not self.even:
            return Coefficients(truth, -truth)
        even = (self.even * self.class_weights.sum() * grad)[..., None] * self.softmax.weight
        return Coefficients(truth + even, -truth, constant=-self.even * grad * self.class_weights)
