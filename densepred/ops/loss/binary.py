"""Each channel against the rest: binary cross-entropy of sigmoids as sums over pixels.

B images, K channels. One channel is class 1; of several, channel k is class k.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from densepred.ops.loss.labels import at_least_float32, counted, counting, one_hot
from densepred.ops.resize.resample import two_channels
from densepred.types import UserError

ACTIVATIONS = ("sigmoid", "softmax")


class Scale(NamedTuple):
    """Weights (K,) of the two kinds of pixels of each channel, None for 1, and the unit of the mean."""

    positive: Tensor | None = None  # of pixels of the channel's class
    negative: Tensor | None = None  # of all others
    unit: int = 1  # K for a mean over channels, 1 for their sum


def channel_truth(labels: Tensor, channels: int) -> Tensor:
    """Return the target of each channel, (B, K, H, W) bool, for labels (B, H, W)."""
    return (labels == 1)[:, None] if channels == 1 else one_hot(labels, channels)


def binary_sums(logits: Tensor, target: Tensor, weight: Tensor | None, scale: Scale, gamma: float = 0.0) -> Tensor:
    """Return the losses of all channels and `unit` times the weights, summed per image: (B, 2).

    With q the probability of what is true of a channel, the loss is (1 - q)^gamma (-log q). Logits (B, K, H, W),
    float32 or more.
    """
    logits, labels, weight = counted(logits, target, weight)
    truth = channel_truth(labels, logits.shape[1])
    right = torch.where(truth, logits, -logits)
    loss = -F.logsigmoid(right)
    if gamma:
        # As an exponential, because powers below 1 have an infinite gradient at 0.
        loss = loss * (gamma * F.logsigmoid(-right)).exp()
    each = _scale(truth, scale)
    loss = loss if each is None else loss * each
    return torch.stack([(loss.sum(1) * weight).sum((1, 2)), scale.unit * weight.sum((1, 2))], 1)


class BinaryBand:
    """The sums and the gradient of `binary_sums` for one band of rows, in closed form. Overwrites the logits."""

    def __init__(self, logits: Tensor, target: Tensor, weight: Tensor | None, scale: Scale) -> None:
        self.positive, self.negative, self.unit = scale
        labels, self.weight = counting(target, weight, logits.dtype)
        one = logits.shape[1] == 1
        self.index = torch.zeros_like(labels)[:, None] if one else labels[:, None]  # the channel that may be positive
        self.true = (labels == 1)[:, None] if one else None  # None: it always is
        self.wrong = self._turned(logits)  # the logit of being wrong, per channel

    def sums(self) -> Tensor:
        loss = self._scaled(F.logsigmoid(-self.wrong))
        return torch.stack([loss.sum(1).mul_(self.weight).sum((1, 2)).neg_(), self.unit * self.weight.sum((1, 2))], 1)

    def gradient(self, grad: Tensor) -> Tensor:
        gradient = self._scaled(self._turned(self.wrong.sigmoid_()))
        return gradient.mul_((self.weight * grad[:, :1, None])[:, None])

    def _turned(self, x: Tensor) -> Tensor:
        """Change the sign of x where the channel is positive, in place."""
        own = x.gather(1, self.index)
        return x.scatter_(1, self.index, -own if self.true is None else torch.where(self.true, -own, own))

    def _scaled(self, x: Tensor) -> Tensor:
        """Multiply x by the weight of its kind of pixel, in place."""
        if self.positive is None and self.negative is None:
            return x
        own = x.gather(1, self.index)
        x = x if self.negative is None else x.mul_(self.negative[:, None, None])
        gained = own if self.positive is None else own * self.positive[self.index]
        if self.true is not None:
            gained = torch.where(self.true, gained, x)
        return x.scatter_(1, self.index, gained)


def _scale(truth: Tensor, scale: Scale) -> Tensor | None:
    """Return the weight of each channel and pixel, (B, K, H, W); None if all are 1."""
    positive, negative, _ = scale
    known = positive if negative is None else negative
    if known is None:
        return None
    positive, negative = (torch.ones_like(known) if by is None else by for by in (positive, negative))
    return torch.where(truth, positive[:, None, None], negative[:, None, None])


def known_activation(name: str) -> str:
    """Return the name of an activation; raise UserError if it is unknown."""
    if name not in ACTIVATIONS:
        raise UserError(f"loss.activation: {name}; choose one of {', '.join(ACTIVATIONS)}")
    return name


def against_rest(pred: Tensor, target: Tensor, weight: Tensor | None, activation: str) -> Tensor:
    """Return logits, float32 or more, of which a sigmoid gives the probability of each class against the rest.

    activation: "sigmoid" for that of each channel, "softmax" for that of all channels; one channel x is then [0, x]
    """
    logits = at_least_float32(pred)
    if activation == "sigmoid":
        return logits
    return softmax_against_rest(two_channels(counted(logits, target, weight)[0]))


def softmax_against_rest(logits: Tensor) -> Tensor:
    """Return the logits (B, K, H, W) for which a sigmoid gives the softmax of `logits`, K at least 2.

    They are x_k - log sum of exp over the other classes. That sum is the whole sum minus the class, except for the
    largest class: there the difference would vanish, so the sum is taken anew.
    """
    largest = one_hot(logits.argmax(1), logits.shape[1])
    whole = logits.logsumexp(1, keepdim=True)
    small = whole + torch.log1p(-logits.softmax(1).masked_fill(largest, 0))
    rest = torch.where(largest, logits.masked_fill(largest, -torch.inf).logsumexp(1, keepdim=True), small)
    return logits - rest
