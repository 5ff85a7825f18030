"""Each channel against the rest: binary cross-entropy of sigmoids as sums over pixels.

B images, K channels. With one channel the truth is class 1, else channel k is class k.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from densepred.ops.loss.labels import counting, one_hot


def channel_truth(labels: Tensor, channels: int) -> Tensor:
    """(B, H, W) -> (B, K, H, W) bool."""
    return (labels == 1)[:, None] if channels == 1 else one_hot(labels, channels)


def binary_sums(
    logits: Tensor,
    target: Tensor,
    weight: Tensor | None,
    unit: int,
    positive: Tensor | None,
    negative: Tensor | None = None,
) -> Tensor:
    """(B, 2): the losses of all channels, and `unit` times the weights. Logits (B, K, H, W) in float32 or more.

    `positive` and `negative` (K,) weigh the two kinds of pixels of each channel. `unit` is K for a mean over channels,
    1 for their sum.
    """
    labels, weight = counting(target, weight, logits.dtype)
    truth = channel_truth(labels, logits.shape[1])
    loss = -F.logsigmoid(torch.where(truth, logits, -logits))
    scale = _scale(truth, positive, negative)
    loss = loss if scale is None else loss * scale
    return torch.stack([(loss.sum(1) * weight).sum((1, 2)), unit * weight.sum((1, 2))], 1)


class BinaryBand:
    """The same of a band, in closed form. Logits are overwritten."""

    def __init__(
        self,
        logits: Tensor,
        target: Tensor,
        weight: Tensor | None,
        unit: int,
        positive: Tensor | None,
        negative: Tensor | None = None,
    ) -> None:
        self.unit, self.positive, self.negative = unit, positive, negative
        labels, self.weight = counting(target, weight, logits.dtype)
        one = logits.shape[1] == 1
        self.index = torch.zeros_like(labels)[:, None] if one else labels[:, None]  # the channel that may be the truth
        self.true = (labels == 1)[:, None] if one else None  # None: it is
        self.wrong = self._turned(logits)  # how far each channel leans to the wrong side

    def sums(self) -> Tensor:
        loss = self._scaled(F.logsigmoid(-self.wrong))
        return torch.stack([loss.sum(1).mul_(self.weight).sum((1, 2)).neg_(), self.unit * self.weight.sum((1, 2))], 1)

    def gradient(self, grad: Tensor) -> Tensor:
        gradient = self._scaled(self._turned(self.wrong.sigmoid_()))
        return gradient.mul_((self.weight * grad[:, :1, None])[:, None])

    def _turned(self, x: Tensor) -> Tensor:
        """x with the other sign where the channel is the truth, in place."""
        own = x.gather(1, self.index)
        return x.scatter_(1, self.index, -own if self.true is None else torch.where(self.true, -own, own))

    def _scaled(self, x: Tensor) -> Tensor:
        """x times the number of its kind of pixel, in place."""
        if self.positive is None and self.negative is None:
            return x
        own = x.gather(1, self.index)
        x = x if self.negative is None else x.mul_(self.negative[:, None, None])
        gained = own if self.positive is None else own * self.positive[self.index]
        if self.true is not None:
            gained = torch.where(self.true, gained, x)
        return x.scatter_(1, self.index, gained)


def _scale(truth: Tensor, positive: Tensor | None, negative: Tensor | None) -> Tensor | None:
    """What each channel of each pixel weighs, (B, K, H, W); None where that is 1."""
    known = positive if negative is None else negative
    if known is None:
        return None
    positive, negative = (torch.ones_like(known) if by is None else by for by in (positive, negative))
    return torch.where(truth, positive[:, None, None], negative[:, None, None])


def softmax_against_rest(logits: Tensor) -> Tensor:
    """Logits (B, K, H, W) of two classes or more to those whose sigmoid is their softmax.

    They are x_k - log sum of exp over the other classes. That sum is taken away from the whole where p is at most 1/2,
    and made anew for the largest class, whose rest would vanish in the difference.
    """
    largest = one_hot(logits.argmax(1), logits.shape[1])
    whole = logits.logsumexp(1, keepdim=True)
    small = whole + torch.log1p(-logits.softmax(1).masked_fill(largest, 0))
    rest = torch.where(largest, logits.masked_fill(largest, -torch.inf).logsumexp(1, keepdim=True), small)
    return logits - rest
