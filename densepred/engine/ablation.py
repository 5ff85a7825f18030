"""Ablation of levels: evaluate again with each level of the encoder silenced, to see which of them a model relies on.

A U-Net may overfit so that only its upper levels work: then it knows local patterns, not the structure of the image.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from densepred import distributed
from densepred.contracts import Encoder, Model
from densepred.engine.amp import Precision
from densepred.engine.modes import evaluation_mode
from densepred.errors import UserError
from densepred.loader.loaders import EvaluationLoader
from densepred.nn import Levels, choose
from densepred.rundir import console
from densepred.task import Task
from densepred.types import Pyramid

Values = Mapping[str, float | None]
Change = Callable[[list[Tensor]], list[Tensor]]
KINDS = ("levels", "means")
COLUMNS = 6  # of the table, the monitored metric included


class Ablation:
    """Levels of a model, each evaluated without its content. Call `run` after the evaluation of the model itself.

    kind: "levels" sets all features of a level to 0, "means" to their mean over the image, per channel
    """

    def __init__(self, model: Model, kind: str) -> None:
        choose("ablate", kind, KINDS)
        self.kind, self.source = kind, source(model)
        self.strides = self.source.strides
        self.shares: list[float | None] = []
        self.values: dict[int, Values] = {}

    def run(self, shares: list[float | None], evaluate: Callable[[], Values]) -> None:
        """Evaluate without each level that the model reads: those with a share of the gradient."""
        self.shares = shares
        for level, share in enumerate(shares):
            if share is not None:
                with changed(self.source, lambda features, at=level: silenced(features, at, self.kind)):
                    self.values[level] = evaluate()

    def report(self, own: Values, task: Task) -> str:
        """Return a table with a row per level, and the sentence about the levels that matter."""
        monitor = self._monitor(own, task)
        names = [monitor, *(name for name in own if "/" not in name and name != monitor)][:COLUMNS]
        rows = [["none", "", *(console.number(own.get(name)) for name in names)]]
        for level, stride in enumerate(self.strides):
            values = self.values.get(level)
            cells = ["not read"] if values is None else [console.number(values.get(name)) for name in names]
            share = "" if self.shares[level] is None else console.number(self.shares[level])
            rows.append([f"stride {stride}", share, *cells, *[""] * (len(names) - len(cells))])
        title = "silenced" if self.kind == "levels" else "averaged"
        return "\n".join([console.table([title, "gradient", *names], rows), "", f"  {self.advice(own, task)}"])

    def advice(self, own: Values, task: Task) -> str:
        """Name the levels on which the monitored metric relies, and those that it can do without."""
        name = self._monitor(own, task)
        score = own.get(name)
        if score is None or not self.values:
            return f"{name} is undefined here, so levels cannot be compared"
        if len(self.values) == 1:
            return f"the model reads one level, of stride {self.strides[next(iter(self.values))]}"
        sign = 1 if task.direction(name) == "max" else -1
        used: dict[bool, list[str]] = {True: [], False: []}
        for level, values in self.values.items():
            value = values.get(name)
            used[value is None or sign * (score - value) > 0].append(str(self.strides[level]))
        if not used[False]:
            return f"{name} gets worse without each of the levels"
        rest = f"it relies on stride {', '.join(used[True])}" if used[True] else "it relies on none"
        return f"{name} gets no worse without stride {', '.join(used[False])}: {rest}"

    def facts(self, own: Values, task: Task) -> dict[str, Any]:
        """Return the scores and the share of the gradient per level, for metrics.json."""
        levels = [
            {"stride": stride, "gradient_share": self.shares[level], "metrics": self.values.get(level)}
            for level, stride in enumerate(self.strides)
        ]
        return {"kind": self.kind, "monitor": self._monitor(own, task), "levels": levels}

    @staticmethod
    def _monitor(own: Values, task: Task) -> str:
        """Return the monitored metric, or the first that was computed if the evaluation has others."""
        return task.monitor if task.monitor in own else next(iter(own))


def source(model: Model) -> Encoder | Levels:
    """Return the module that gives the levels which the rest of the model joins."""
    found = next((part for part in model.children() if isinstance(part, Encoder | Levels)), None)
    if found is None:
        raise UserError("ablate: this model has no levels of an encoder; leave ablate out")
    return found


def silenced(features: list[Tensor], level: int, kind: str) -> list[Tensor]:
    """Return the features (B, C, h, w) of all levels, those of one replaced by 0 or by their mean per channel."""
    x = features[level]
    without = torch.zeros_like(x) if kind == "levels" else x.mean((-2, -1), keepdim=True).expand_as(x).contiguous()
    return [without if i == level else other for i, other in enumerate(features)]


@contextmanager
def changed(module: nn.Module, change: Change) -> Iterator[None]:
    """Let a module return a pyramid with other features."""

    def hook(_: nn.Module, __: tuple[Any, ...], pyramid: Pyramid) -> Pyramid:
        return replace(pyramid, features=change(pyramid.features))

    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def gradient_shares(
    model: Model, task: Task, loader: EvaluationLoader, device: torch.device, precision: Precision
) -> list[float | None]:
    """Return each level's share of the gradient of the loss, as it reaches the level past the deeper ones.

    A level counts by its sum of |feature * gradient|, which other units of a feature do not change. None if the model
    does not read the level. The result is equal on every rank.
    """
    sums: list[list[float] | None] = [None] * len(source(model).strides)
    with evaluation_mode(model, task):
        for batch in loader:
            if not batch.targets or not len(batch.image):
                continue
            on_device = batch.to(device)
            features: list[Tensor] = []
            with torch.enable_grad(), changed(source(model), lambda given, kept=features: cut_off(given, kept)):
                with precision.autocast():
                    outputs = model(on_device.image)
                loss = task.loss(outputs, on_device.targets, model.align_corners)["total"]
                slopes = torch.autograd.grad(loss, features, allow_unused=True)
            for level, (x, slope) in enumerate(zip(features, slopes, strict=True)):
                if slope is not None:
                    share = len(batch.frames) * float((x.detach() * slope).abs().sum())
                    sums[level] = [*(sums[level] or []), share]
    return shares(distributed.gather(sums))


def cut_off(features: list[Tensor], kept: list[Tensor]) -> list[Tensor]:
    """Return the features as the beginning of a graph, and put them in `kept`."""
    kept[:] = [x.detach().requires_grad_() for x in features]
    return list(kept)


def shares(parts: list[list[list[float] | None]]) -> list[float | None]:
    """Return the share of each level in the sum of all, over the processes; None where no process has any."""
    totals = []
    for level in zip(*parts, strict=True):
        known = [values for values in level if values is not None]
        totals.append(math.fsum(value for values in known for value in values) if known else None)
    whole = math.fsum(value for value in totals if value is not None)
    return [None if value is None else value / whole if whole else 0.0 for value in totals]
