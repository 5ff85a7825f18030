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
from densepred.ops.loss.labels import counting, sum_by_label

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


class Probabilities(Protocol):
    """The softmax of some rows as the terms of losses use it, whether it is held or computed anew for each of these.

    Terms leave the tensors as they are. Maps have R x W pixels; where a pixel does not count its weight is 0.
    """

    classes: int

    @property
    def like(self) -> Tensor: ...  # (B, K, ...) in the precision of the sums
    @property
    def labels(self) -> Tensor: ...  # (B, R, W) int64, 0 where void
    @property
    def weight(self) -> Tensor: ...  # (B, R, W)
    @property
    def truth(self) -> Tensor: ...  # (B, R, W), the probability of the label
    @property
    def log_truth(self) -> Tensor: ...  # (B, R, W)
    @property
    def rest(self) -> Tensor: ...  # (B, R, W), one minus the probability of the label

    def overlaps(self) -> Tensor:
        """Return intersections, predicted and true areas per class, weighted, (B, 3 K)."""
        ...

    def mean(self, by: Tensor) -> Tensor:
        """Return the sum over classes of `by`, (B, K), times the softmax: (B, R, W)."""
        ...

    def mean_log(self, by: Tensor) -> Tensor:
        """Return the sum over classes of `by`, (K,), times the logarithm of the softmax: (B, R, W)."""
        ...

    def gradient(self, by: Coefficients) -> Tensor:
        """Return the gradient by the logits. Called last: it may overwrite what is held."""
        ...


class Softmax:
    """Exponentials of logits, up to one factor per pixel, and their sum over classes; the softmax is their ratio."""

    def __init__(self, exponentials: Tensor, target: Tensor, weight: Tensor | None) -> None:
        self.exponentials, self.classes = exponentials, exponentials.shape[1]
        self.labels, self.weight = counting(target, weight, exponentials.dtype)  # (B, R, W)
        self.step = max(1, PART // self.labels.numel())
        self.total = exponentials.sum(1)
        self.truth = exponentials.gather(1, self.labels[:, None])[:, 0].div_(self.total)
        self.like = exponentials

    @property
    def log_truth(self) -> Tensor:
        return self.truth.log()

    @property
    def rest(self) -> Tensor:
        return 1 - self.truth

    def parts(self) -> tuple[Tensor, ...]:
        """Split the exponentials into a few classes each, so that temporaries stay in a cache."""
        return self.exponentials.split(self.step, 1)

    def areas(self) -> Tensor:
        """Return the weighted sum of the softmax over pixels, (B, K)."""
        scale = (self.weight / self.total)[:, None]
        return torch.cat([(part * scale).sum((2, 3)) for part in self.parts()], 1)

    def overlaps(self) -> Tensor:
        truth = self.truth * self.weight
        return torch.cat(
            [
                sum_by_label(truth, self.labels, self.classes),
                self.areas(),
                sum_by_label(self.weight, self.labels, self.classes),
            ],
            1,
        )

    def mean(self, by: Tensor) -> Tensor:
        return torch.einsum("bk,bkrw->brw", by, self.exponentials).div_(self.total)

    def mean_log(self, by: Tensor) -> Tensor:
        return torch.einsum("k,bkrw->brw", by, self.exponentials.log().sub_(self.total.log()[:, None]))

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

    def __init__(self, softmax: Probabilities, terms: Sequence[Term]) -> None:
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
    fused: bool = True  # False: its terms read more of a softmax than `Probabilities`, so they are summed in bands

    @abstractmethod
    def terms(self, softmax: Probabilities) -> list[Term]:
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
