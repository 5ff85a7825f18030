"""Each channel against the rest: binary cross-entropy of sigmoids as sums over pixels.

B images, K channels. With one channel the truth is class 1, else channel k is class k.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from densepred.ops.labels import counting, one_hot


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
        self.unit = unit
        labels, self.weight = counting(target, weight, logits.dtype)
        truth = channel_truth(labels, logits.shape[1])
        self.sign = torch.ones_like(logits).masked_fill_(truth, -1)
        self.wrong = logits.mul_(self.sign)  # how far each channel leans to the wrong side
        self.scale = _scale(truth, positive, negative)

    def sums(self) -> Tensor:
        loss = F.logsigmoid(-self.wrong)
        loss = loss if self.scale is None else loss.mul_(self.scale)
        return torch.stack([loss.sum(1).mul_(self.weight).sum((1, 2)).neg_(), self.unit * self.weight.sum((1, 2))], 1)

    def slope(self, grad: Tensor) -> Tensor:
        slope = self.wrong.sigmoid_().mul_(self.sign).mul_((self.weight * grad[:, :1, None])[:, None])
        return slope if self.scale is None else slope.mul_(self.scale)


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
