"""Counters of a run, and the sums since its last log entry. Both are part of every checkpoint."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from densepred.errors import UserError
from densepred.rundir.console import duration, number

FORMER_NAMES = {"better": "mode"}
"""Counters that older checkpoints store under another name."""


@dataclass(slots=True)
class Progress:
    """The counters of a run. `batch` is the next batch of `epoch`; with `due`, `step` is still to be validated."""

    monitor: str
    mode: str
    step: int = 0
    epoch: int = 0
    batch: int = 0
    due: bool = False
    validated: int = -1
    skipped: int = 0
    skipped_in_row: int = 0
    since_best: int = 0
    seconds: float = 0.0
    best: dict[str, Any] = field(default_factory=dict)
    last: dict[str, Any] = field(default_factory=dict)

    def update(self, values: Mapping[str, float | None]) -> bool:
        """Record a validation; return True if it is the best so far.

        A value that is undefined or not finite is never best, nor is any value of a model with an undefined loss.
        """
        self.validated, self.due = self.step, False
        self.last = {"step": self.step, "epoch": self.epoch, **values}
        value, best = values.get(self.monitor), self.best.get(self.monitor)
        if (
            value is None
            or not math.isfinite(value)
            or self.diverged
            or (best is not None and (value <= best if self.mode == "max" else value >= best))
        ):
            self.since_best += 1
            return False
        self.best, self.since_best = dict(self.last), 0
        return True

    @property
    def diverged(self) -> bool:
        """True if the loss of the last validation was not finite."""
        return self.last.get("loss/total", 0.0) is None

    def line(self, values: Mapping[str, float | None], train_loss: float | None) -> str:
        """Return one line on a validation for a terminal of 80 columns, with the mean training loss before it."""
        star = " *" if self.best.get("step") == self.step else ""
        epoch = self.epoch + (self.batch > 0)
        return (
            f"  epoch {epoch:>2}  step {self.step:>5}  loss train {number(train_loss):>7}  "
            f"valid {number(values.get('loss/total')):>7}  {self.monitor} {number(values.get(self.monitor)):>7}  "
            f"{duration(self.seconds):>5}{star}"
        )

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def restore(self, data: Mapping[str, Any]) -> list[str]:
        """Take over the counters of a checkpoint; return a sentence if another score selects the best weights now."""
        monitor, mode = self.monitor, self.mode
        for name, value in data.items():
            present = FORMER_NAMES.get(name, name)
            if present not in self.__slots__:
                raise UserError(f"holds progress.{name}, which is no counter")
            setattr(self, present, value)
        if not isinstance(self.best, dict) or not isinstance(self.last, dict):
            raise UserError("holds progress.best or progress.last that are no mapping")
        if self.monitor == monitor:
            return self._checked_best()
        former, self.monitor, self.mode, self.best, self.since_best = self.monitor, monitor, mode, {}, 0
        return [f"{monitor} selects the best weights from now on, {former} did before; the next validation begins"]

    def _checked_best(self) -> list[str]:
        """Drop best weights if their score is no finite number, as no score would be better; tell it in one sentence.

        A checkpoint holds such a score only if it was damaged, or written by another program.
        """
        if not self.best:
            return []
        value = self.best.get(self.monitor)
        known = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if known and type(self.best.get("step")) is int:
            return []
        self.best, self.since_best = {}, 0
        return [f"the best {self.monitor} so far is {str(value)[:20]!r}, which is no score; the next validation begins"]


class Meter:
    """Mean losses and speed between two log entries; sums stay on the device until they are read.

    The total is also summed between two validations, for their lines. Checkpoints hold it; of older ones it goes back
    as far as their sums do.
    """

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.steps, self.images = 0, 0
        self.begun, self.paused = time.monotonic(), 0.0
        self.speeds: list[float] = []
        self.total: Tensor | None = None
        self.total_steps = 0

    def add(self, terms: Mapping[str, Tensor], images: int) -> None:
        for name, value in terms.items():
            self.sums[name] = self.sums.get(name, torch.zeros_like(value)) + value
        self.steps += 1
        self.images += images
        if (total := terms.get("total")) is not None:  # a model in closed form has no loss
            self.total = total if self.total is None else self.total + total
            self.total_steps += 1

    def loss(self) -> float | None:
        """Return the mean total since this was last called; None without a step since."""
        mean = None if self.total is None else self.total.item() / self.total_steps
        self.total, self.total_steps = None, 0
        return mean

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Exclude what is done inside, which is no training, from the speed."""
        begun = time.monotonic()
        yield
        self.paused += time.monotonic() - begun

    def read(self) -> tuple[dict[str, float], float]:
        """Return the mean of each loss, by name, and images per second since the last reading; then reset."""
        means, speed = self.means()
        self.sums, self.steps, self.images = {}, 0, 0
        self.begun, self.paused = time.monotonic(), 0.0
        self.speeds.append(speed)
        return means, speed

    def means(self) -> tuple[dict[str, float], float]:
        """Return what `read` does, and go on."""
        elapsed = time.monotonic() - self.begun - self.paused
        losses = {name: value.item() / self.steps for name, value in sorted(self.sums.items())}
        return losses, self.images / max(elapsed, 1e-9)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the sums, and counters ready for JSON; `total` is that since the last validation."""
        total = None if self.total is None else self.total.item()
        counts = {"steps": self.steps, "images": self.images, "total": total, "total_steps": self.total_steps}
        return self.sums, counts

    def restore(self, sums: Mapping[str, Tensor], counts: Mapping[str, Any]) -> None:
        self.sums, self.steps, self.images = dict(sums), counts["steps"], counts["images"]
        if "total_steps" not in counts:
            self.total, self.total_steps = self.sums.get("total"), self.steps
            return
        self.total = None if counts["total"] is None else torch.tensor(counts["total"])
        self.total_steps = counts["total_steps"]
