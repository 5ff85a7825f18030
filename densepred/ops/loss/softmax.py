"""The softmax of a band, and the gradient of every loss made of it.

B images, K classes, R x W pixels, S sums.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import reduce
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from densepred.contracts import SummedLoss
from densepred.ops.loss.labels import counting

PART = 2**17
"""Elements of a temporary with classes and pixels."""


class Coefficients(NamedTuple):
    """The gradient softmax * (pixel + classes * weight) + one_hot(truth) * truth + constant * weight."""

    pixel: Tensor  # (B, R, W)
    truth: Tensor  # (B, R, W)
    classes: Tensor | None = None  # (B, K)
    constant: Tensor | None = None  # (B, K)


class Term(Protocol):
    """The sums of one loss of a softmax, and the coefficients of their gradient."""

    width: int  # S

    def sums(self) -> Tensor:
        """Return the sums, (B, S)."""
        ...

    def coefficients(self, grad: Tensor) -> Coefficients:
        """Return the coefficients of the gradient of (sums * grad).sum(), grad (B, S)."""
        ...


class Softmax:
    """Exponentials of logits, up to one factor per pixel, and their sum over classes; the softmax is their ratio."""

    def __init__(self, exponentials: Tensor, target: Tensor, weight: Tensor | None) -> None:
        self.exponentials, self.classes = exponentials, exponentials.shape[1]
        self.labels, self.weight = counting(target, weight, exponentials.dtype)  # (B, R, W)
        self.step = max(1, PART // self.labels.numel())
        self.total = exponentials.sum(1)
        self.truth = exponentials.gather(1, self.labels[:, None])[:, 0].div_(self.total)

    def parts(self) -> tuple[Tensor, ...]:
        """Split the exponentials into a few classes each, so that temporaries stay in a cache."""
        return self.exponentials.split(self.step, 1)

    def areas(self) -> Tensor:
        """Return the weighted sum of the softmax over pixels, (B, K)."""
        scale = (self.weight / self.total)[:, None]
        return torch.cat([(part * scale).sum((2, 3)) for part in self.parts()], 1)

    def gradient(self, by: Coefficients) -> Tensor:
        """Return the gradient by the logits, written over the exponentials."""
        share = (by.pixel / self.total)[:, None]
        if by.classes is None:
            self.exponentials.mul_(share)
        else:
            scale = (self.weight / self.total)[:, None]
            for part, classes in zip(self.parts(), by.classes.split(self.step, 1), strict=True):
                part.mul_(torch.addcmul(share, classes[:, :, None, None], scale))
        gradient = self.exponentials.scatter_add_(1, self.labels[:, None], by.truth[:, None])
        if by.constant is not None:
            gradient.addcmul_(by.constant[:, :, None, None], self.weight[:, None])
        return gradient


class SoftmaxBand:
    """A band under one or several losses that share a softmax; their sums stand side by side."""

    def __init__(self, softmax: Softmax, terms: Sequence[Term]) -> None:
        self.softmax, self.terms = softmax, terms

    def sums(self) -> Tensor:
        return torch.cat([term.sums() for term in self.terms], 1)

    def gradient(self, grad: Tensor) -> Tensor:
        parts = grad.split([term.width for term in self.terms], 1)
        each = [term.coefficients(part) for term, part in zip(self.terms, parts, strict=True)]
        return self.softmax.gradient(reduce(_add, each))


class SoftmaxLoss(SummedLoss):
    """A loss made of terms of a softmax, which give its sums and gradient in closed form."""

    target = "classes"

    @abstractmethod
    def terms(self, softmax: Softmax) -> list[Term]:
        """Return the terms that give the sums of `statistics`, in their order."""

    def band(self, exponentials: Tensor, target: Tensor, weight: Tensor | None = None) -> SoftmaxBand:
        softmax = Softmax(exponentials, target, weight)
        return SoftmaxBand(softmax, self.terms(softmax))


def _add(a: Coefficients, b: Coefficients) -> Coefficients:
    return Coefficients(
        a.pixel + b.pixel, a.truth + b.truth, _both(a.classes, b.classes), _both(a.constant, b.constant)
    )


def _both(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    return b if a is None else a if b is None else a + b
