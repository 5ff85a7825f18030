"""Focal loss as sums over pixels: alpha (1 - p)^gamma (-log p), p the probability of the label.

B images, K classes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from densepred.ops.loss.labels import counted, scaled
from densepred.ops.loss.softmax import Coefficients, Probabilities

TINY = 1e-12
"""The least 1 - p: powers under 1 have an infinite gradient at 0."""


def focal_sums(logits: Tensor, target: Tensor, weight: Tensor | None, alpha: Tensor | None, gamma: float) -> Tensor:
    """Return the losses and the weights, summed per image: (B, 2). Logits (B, K, H, W), float32 or more."""
    logits, labels, weight = counted(logits, target, weight)
    score = logits.log_softmax(1).gather(1, labels[:, None])[:, 0]
    rest = (-torch.expm1(score)).clamp_min(TINY)
    loss = -rest.pow(gamma) * score * scaled(weight, alpha, labels)
    return torch.stack([loss.sum((1, 2)), weight.sum((1, 2))], 1)


class FocalTerm:
    """The sums and the gradient of the focal loss for one band of rows, in closed form."""

    width = 2

    def __init__(self, softmax: Probabilities, alpha: Tensor | None, gamma: float) -> None:
        self.softmax, self.gamma = softmax, gamma
        self.rest = softmax.rest.clamp_min_(TINY)
        self.log_truth = softmax.log_truth
        self.scale = scaled(softmax.weight, alpha, softmax.labels)

    def sums(self) -> Tensor:
        loss = self.rest.pow(self.gamma).mul_(self.log_truth).mul_(self.scale).neg_()
        return torch.stack([loss.sum((1, 2)), self.softmax.weight.sum((1, 2))], 1)

    def coefficients(self, grad: Tensor) -> Coefficients:
        focus = self.rest.pow(self.gamma - 1)
        inner = self.rest - self.gamma * self.log_truth * self.softmax.truth
        truth = focus.mul_(inner).mul_(self.scale).mul_(grad[:, :1, None])
        return Coefficients(truth, -truth)
