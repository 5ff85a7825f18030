"""Learning-rate schedules: pure functions of (step, total steps), so that resuming needs no state.

A schedule returns the factor on every learning rate for the optimizer step `step` (the first is 0). If the run is
bounded by time alone, `total` is None and only the warm-up acts.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

from densepred.types import UserError


class Scheduler(ABC):
    """A linear warm-up over `warmup` steps (a share of the run if below 1), then `shape` over the rest."""

    def __init__(self, warmup: float = 0) -> None:
        if warmup < 0:
            raise UserError(f"scheduler.warmup is {warmup}; give a number of steps, or a share of the run below 1")
        self.warmup = warmup

    def __call__(self, step: int, total: int | None) -> float:
        warm = self.warmup if self.warmup >= 1 else self.warmup * (total or 0)
        if step < warm:
            return (step + 1) / (warm + 1)
        if total is None:
            return 1.0
        return self.shape(min(1.0, (step - warm) / max(1.0, total - warm)))

    @abstractmethod
    def shape(self, progress: float) -> float:
        """Return the factor after the warm-up; progress runs from 0 to 1."""


class Constant(Scheduler):
    def shape(self, progress: float) -> float:
        return 1.0


class Poly(Scheduler):
    """(1 - progress) ** power. https://arxiv.org/abs/1606.00915"""

    def __init__(self, power: float = 0.9, minimum: float = 0.0, warmup: float = 0) -> None:
        super().__init__(warmup)
        self.power, self.minimum = power, minimum

    def shape(self, progress: float) -> float:
        return self.minimum + (1 - self.minimum) * (1 - progress) ** self.power


class Cosine(Scheduler):
    """Half a cosine, from 1 to `minimum`. https://arxiv.org/abs/1608.03983"""

    def __init__(self, minimum: float = 0.0, warmup: float = 0) -> None:
        super().__init__(warmup)
        self.minimum = minimum

    def shape(self, progress: float) -> float:
        return self.minimum + (1 - self.minimum) * (1 + math.cos(math.pi * progress)) / 2


class OneCycle(Scheduler):
    """Up from 1 / `start` by a cosine over the share `rise`, then down to 1 / (`start` * `end`). arXiv 1708.07120"""

    def __init__(self, rise: float = 0.3, start: float = 25.0, end: float = 10000.0) -> None:
        super().__init__()
        if not 0 < rise < 1:
            raise UserError(f"scheduler.rise is {rise}; give a share of the run between 0 and 1")
        self.rise, self.low, self.last = rise, 1 / start, 1 / (start * end)

    def shape(self, progress: float) -> float:
        if progress < self.rise:
            return _ease(self.low, 1.0, progress / self.rise)
        return _ease(1.0, self.last, (progress - self.rise) / (1 - self.rise))


class Step(Scheduler):
    """Multiply by `gamma` at each milestone, a share of the run."""

    def __init__(self, milestones: Sequence[float] = (0.6, 0.8), gamma: float = 0.1, warmup: float = 0) -> None:
        super().__init__(warmup)
        if not all(0 < share < 1 for share in milestones):
            raise UserError(f"scheduler.milestones are {list(milestones)}; give shares of the run between 0 and 1")
        self.milestones, self.gamma = tuple(milestones), gamma

    def shape(self, progress: float) -> float:
        return self.gamma ** sum(progress >= share for share in self.milestones)


def _ease(first: float, last: float, share: float) -> float:
    return last + (first - last) * (1 + math.cos(math.pi * share)) / 2
