"""Range of targets and best prediction per loss of values, for the contract of losses."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from densepred.contracts import Loss


class Numbers(NamedTuple):
    """Number of channels, targets from numbers in 0..1, and the best prediction of a target."""

    channels: int = 3
    truth: Callable[[Tensor], Tensor] = lambda x: 6 * x - 3
    best: Callable[[Tensor], Tensor] = torch.clone


def sure(truth: Tensor) -> Tensor:
    return torch.where(truth >= 1, 100.0, -100.0)


NUMBERS = {
    "SigmoidFocal": Numbers(truth=lambda x: (x > 0.8).to(x.dtype), best=sure),
    "SoftBinaryCrossEntropy": Numbers(truth=lambda x: (x > 0.5).to(x.dtype), best=sure),
    "CenterFocal": Numbers(truth=lambda x: torch.where(x > 0.9, 1.0, x), best=sure),
    "GeneralisedIoU": Numbers(4, lambda x: 4 * x + 0.1),
}
"""By the name of the class; other losses of values are about any numbers."""


def numbers(loss: Loss) -> Numbers:
    return NUMBERS.get(type(loss).__name__, Numbers())
