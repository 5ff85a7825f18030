"""The weight map of the first U-Net (arXiv 1505.04597): gaps between cells that nearly touch weigh more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from densepred.nn import choose
from densepred.ops.regions.border import border_weight
from densepred.ops.regions.components import class_components
from densepred.types import VOID, Annotation, Info, UserError

KEYS = ("w0", "sigma", "of", "balance")


class BorderWeights:
    """w(x) = balance of x's class + w0 exp(-(d1 + d2)^2 / (2 sigma^2)), and 0 where void: (H, W) float32.

    d1 and d2 are the distances in pixels to the nearest and second-nearest cell; within cells only the balance counts.
    Cells are the instances of the annotation if it has them, otherwise the connected components of classes.

    of: names or indices of the classes that count, one or several. The default is all instances; without instances,
        the components of the dataset's things; without things, those of every class except the first.
    balance: one weight per class, all 1 by default.
    """

    def __init__(self, info: Info, settings: Mapping[str, Any]) -> None:
        for key in settings:
            choose("key of task.codec.border", key, KEYS)
        self.w0, self.sigma = (_number(settings, key, default) for key, default in (("w0", 10.0), ("sigma", 5.0)))
        if self.w0 < 0 or self.sigma <= 0:
            raise UserError(
                f"task.codec.border: w0={self.w0} sigma={self.sigma}; give a w0 of 0 or more and a sigma above 0"
            )
        of = settings.get("of")
        self.given = of is not None
        names = of if isinstance(of, list | tuple) else [of]
        default = info.things or tuple(range(1, len(info.classes)))
        self.classes = tuple(_class(info, name) for name in names) if self.given else default
        self.balance = _balance(settings.get("balance"), len(info.classes))

    def __call__(self, truth: Annotation) -> Tensor:
        labels = truth.need("semantic")
        weight = border_weight(self.cells(truth), self.w0, self.sigma) + self.balance[labels.long()]
        return weight.masked_fill_(labels == VOID, 0)

    def cells(self, truth: Annotation) -> Tensor:
        """Return the cells, (H, W) int32, numbered from 1."""
        if truth.instances is None or (self.given and truth.categories is None):
            return class_components(truth.need("semantic"), self.classes)
        if not self.given or truth.categories is None:
            return truth.instances
        wanted = torch.isin(truth.categories, torch.tensor(self.classes))
        kept = torch.cat([torch.zeros(1, dtype=torch.bool), wanted])
        return truth.instances * kept[truth.instances.long()]


def _number(settings: Mapping[str, Any], key: str, default: float) -> float:
    value = settings.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UserError(f"task.codec.border.{key}: {value}; give a number")
    return float(value)


def _class(info: Info, name: object) -> int:
    if isinstance(name, int) and not isinstance(name, bool):
        if not 0 <= name < len(info.classes):
            raise UserError(
                f"task.codec.border.of: {name}; give a class from 0 to {len(info.classes) - 1}, or its name"
            )
        return name
    choose("class in task.codec.border.of", name, info.classes)
    return info.classes.index(str(name))


def _balance(values: Sequence[float] | None, classes: int) -> Tensor:
    """Return a look-up table of one weight per label, (256,)."""
    table = torch.ones(VOID + 1)
    if values is not None:
        if not isinstance(values, list | tuple) or len(values) != classes or min(values) < 0:
            raise UserError(f"task.codec.border.balance: {values}; give {classes} numbers of 0 or more, one per class")
        table[:classes] = torch.tensor([float(value) for value in values])
    return table
