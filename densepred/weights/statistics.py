"""Mean and std by which a model normalises its images, taken over from pretrained weights."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from densepred.contracts import Model
from densepred.weights.families import Family

Say = Callable[[str], None]


def of_family(model: Model, family: Family | None, say: Say) -> None:
    """Normalise images as the weights of a family expect it."""
    if family is not None and family.mean:
        copy(model, torch.tensor(family.mean), torch.tensor(family.std), family.name, say)


@torch.no_grad()
def copy(model: Model, mean: Tensor | None, std: Tensor | None, source: str, say: Say) -> None:
    """Set the mean and std of the model to those of the weights, unless its number of channels differs."""
    own = getattr(model, "mean", None), getattr(model, "std", None)
    given = []
    for value, wanted in zip(own, (mean, std), strict=True):
        if not isinstance(value, Tensor) or wanted is None or value.numel() != wanted.numel():
            return
        given.append((value, wanted.to(value).view_as(value)))
    if not all(torch.equal(value, wanted) for value, wanted in given):
        for value, wanted in given:
            value.copy_(wanted)
        shown = [[round(one, 6) for one in wanted.flatten().tolist()] for _, wanted in given]
        say(f"  images are normalised as for {source}: mean {shown[0]}, std {shown[1]}")
