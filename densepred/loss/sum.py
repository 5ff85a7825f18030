"""Weighted sums of losses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from densepred.contracts import Loss, SummedLoss
from densepred.ops.loss.softmax import Probabilities, SoftmaxLoss, Term
from densepred.types import UserError

EXAMPLE = "loss=sum +loss@loss.terms.a.loss=ce +loss@loss.terms.b.loss=lovasz +loss.terms.b.weight=0.5"


class Sum(Loss):
    """The sum of weight * loss. `terms` is a list, or a mapping from any names, of {weight: 1.0, loss: ...}.

    Losses that are formulas of sums share one pass in bands; the others get the enlarged prediction.
    """

    def __init__(self, terms: Sequence[Mapping[str, Any]] | Mapping[str, Mapping[str, Any]]) -> None:
        super().__init__()
        named = terms if isinstance(terms, Mapping) else {f"[{i}]": term for i, term in enumerate(terms or ())}
        parts = [part for name, term in named.items() for part in _parts(name, term)]
        if not parts:
            raise UserError(f"loss.terms: empty; give losses, as in {EXAMPLE}")
        if len({loss.target for _, loss in parts}) > 1:
            raise UserError(
                "loss.terms: losses of classes and losses of values cannot be added; give losses of one kind"
            )
        summed = [(weight, loss) for weight, loss in parts if isinstance(loss, SummedLoss)]
        others = [(weight, loss) for weight, loss in parts if not isinstance(loss, SummedLoss)]
        self.target = parts[0][1].target
        self.distance = any(loss.distance for _, loss in parts)
        self.weights = [1.0] * bool(summed) + [weight for weight, _ in others]
        self.parts = nn.ModuleList([joined(summed)] * bool(summed) + [loss for _, loss in others])

    def split(self) -> list[tuple[float, Loss]]:
        return list(zip(self.weights, cast(list[Loss], list(self.parts)), strict=True))

    def forward(
        self, pred: Tensor, target: Tensor, weight: Tensor | None = None, distance: Tensor | None = None
    ) -> Tensor:
        each = [
            share * part(pred, target, weight, *([distance] if part.distance else [])) for share, part in self.split()
        ]
        return torch.stack(each).sum()


def _parts(name: str, term: Any) -> list[tuple[float, Loss]]:
    at = f"loss.terms{name}" if name.startswith("[") else f"loss.terms.{name}"
    if not isinstance(term, Mapping) or not isinstance(term.get("loss"), Loss) or set(term) - {"weight", "loss"}:
        raise UserError(f"{at}: not of the form {{weight: 1.0, loss: ...}}; give losses as in {EXAMPLE}")
    share = term.get("weight", 1.0)
    if isinstance(share, bool) or not isinstance(share, int | float):
        raise UserError(f"{at}.weight: {share}; give a number")
    return [(share * weight, loss) for weight, loss in term["loss"].split()]


def joined(terms: Sequence[tuple[float, SummedLoss]]) -> Joined:
    every = all(isinstance(loss, SoftmaxLoss) for _, loss in terms)
    return JoinedSoftmax(terms) if every else Joined(terms)


class Joined(SummedLoss):
    """A weighted sum of formulas of sums, itself one: its sums are theirs, side by side."""

    def __init__(self, terms: Sequence[tuple[float, SummedLoss]]) -> None:
        super().__init__()
        self.weights = [weight for weight, _ in terms]
        self.losses = nn.ModuleList(loss for _, loss in terms)
        self.target = terms[0][1].target
        self.distance = any(loss.distance for _, loss in terms)
        self.fused = all(getattr(loss, "fused", False) for _, loss in terms)
        self.linear = len(terms) == 1 and terms[0][1].linear
        self.widths: list[int] = []  # sums of each loss; they depend on the number of classes

    @property
    def summed(self) -> list[SummedLoss]:
        return cast(list[SummedLoss], list(self.losses))

    def statistics(
        self, pred: Tensor, target: Tensor, weight: Tensor | None = None, distance: Tensor | None = None
    ) -> Tensor:
        each = [
            cast(Callable[..., Tensor], loss.statistics)(pred, target, weight, *([distance] if loss.distance else []))
            for loss in self.summed
        ]
        self.widths = [sums.shape[1] for sums in each]
        return torch.cat(each, 1)

    def value(self, sums: Tensor) -> Tensor:
        parts = sums.split(self.widths, 1)
        values = [loss.value(part) for loss, part in zip(self.summed, parts, strict=True)]
        return torch.stack([weight * value for weight, value in zip(self.weights, values, strict=True)]).sum()

    def forward(
        self, pred: Tensor, target: Tensor, weight: Tensor | None = None, distance: Tensor | None = None
    ) -> Tensor:
        return self.value(self.statistics(pred, target, weight, distance))


class JoinedSoftmax(Joined, SoftmaxLoss):
    """A weighted sum of losses that share one softmax and its closed form."""

    def terms(self, softmax: Probabilities) -> list[Term]:
        each: list[list[Term]] = [cast(SoftmaxLoss, loss).terms(softmax) for loss in self.summed]
        self.widths = [sum(term.width for term in terms) for terms in each]
        return [term for terms in each for term in terms]
