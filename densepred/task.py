"""A task: one codec, one loss a head, some metrics. Every task is this class; see `configs/task`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from densepred import distributed
from densepred.contracts import Codec, Loss, Metric, SummedLoss
from densepred.nn import choose
from densepred.ops.loss import banded
from densepred.ops.resize import resample
from densepred.types import Annotation, Frame, HeadSpec, Info, Outputs, Targets, UserError

HALVING = "halving"


class Task(nn.Module):
    """What is predicted and how it is judged.

    `weights` weighs heads in the total, `stages` the stages of a head, and `monitor` names the metric by which the best
    checkpoint is chosen. Stages weigh equally where nothing is said; "halving" gives each half the weight of the next,
    as nnU-Net does (arXiv 1809.10486); both add up to 1. In evaluation mode a model may give the answer alone, which
    then weighs 1: validation losses of models with and without stages compare.
    """

    def __init__(
        self,
        info: Info,
        codec: Callable[..., Codec],
        losses: Mapping[str, Loss],
        weights: Mapping[str, float] | None = None,
        stages: Mapping[str, Sequence[float] | str] | None = None,
        metrics: Mapping[str, Callable[..., Metric]] | None = None,
        monitor: str = "miou",
    ) -> None:
        super().__init__()
        self.info = info
        self.codec = codec(info=info)
        self.losses = nn.ModuleDict(losses)
        self.weights = dict(weights or {})
        self.stages = dict(stages or {})
        self.metrics = dict(metrics or {})
        self.monitor = monitor
        self._check()

    @property
    def heads(self) -> dict[str, HeadSpec]:
        return self.codec.heads

    def direction(self, name: str | None = None) -> str:
        """Which way a metric, by default the monitored one, improves: "max" or "min"."""
        ways = {key: way for metric in self.new_metrics().values() for key, way in metric.mode.items()}
        name = name or self.monitor
        if name not in ways:
            known = f"set trainer.monitor to one of {', '.join(sorted(ways))}" if ways else "choose a metric"
            raise UserError(f"a run cannot be judged by '{name}'; {known}")
        return ways[name]

    def loss(
        self, outputs: Outputs, targets: Targets, align_corners: bool = False, every_rank: bool = False
    ) -> dict[str, Tensor]:
        """The weighted "total" and the unweighted loss of each head.

        With `every_rank` the sums of all processes make one formula, as if they were one batch.
        """
        terms = {}
        for name in self.heads:
            stages = outputs[name]
            weights = self._stage_weights(name, len(stages))
            each = [self._head(name, stage, targets, align_corners, every_rank) for stage in stages]
            terms[name] = torch.stack([w * value for w, value in zip(weights, each, strict=True)]).sum()
        total = torch.stack([self.weights.get(name, 1.0) * value for name, value in terms.items()]).sum()
        return {"total": total, **terms}

    def decode(
        self, outputs: Outputs, frames: Sequence[Frame], align_corners: bool = False, probabilities: bool = False
    ) -> list[Annotation]:
        """The last stage of every head to annotations of the original images."""
        answers = {name: outputs[name][-1].float() for name in self.heads}
        return self.codec.decode(answers, frames, align_corners, probabilities)

    def new_metrics(self) -> dict[str, Metric]:
        """An empty one of each. No metric may hide a number of another."""
        made = {option: metric(info=self.info) for option, metric in self.metrics.items()}
        owners: dict[str, str] = {}
        for option, metric in made.items():
            if taken := [name for name in metric.mode if name in owners]:
                prefix = f"metric.{option}.prefix={option.partition('_')[0]}_"
                tell = f", or tell them apart by {prefix}" if hasattr(metric, "prefix") else ""
                raise UserError(f"{owners[taken[0]]} and {option} both compute {taken[0]}; choose one of them{tell}")
            owners |= dict.fromkeys(metric.mode, option)
        return made

    def _head(self, name: str, pred: Tensor, targets: Targets, align_corners: bool, every_rank: bool) -> Tensor:
        terms = [
            weight * self._term(name, loss, pred, targets, align_corners, every_rank)
            for weight, loss in cast(Loss, self.losses[name]).split()
        ]
        return torch.stack(terms).sum()

    def _term(
        self, name: str, loss: Loss, pred: Tensor, targets: Targets, align_corners: bool, every_rank: bool
    ) -> Tensor:
        target, weight = targets[name], targets.get(f"{name}_weight")
        distance = targets[f"{name}_distance"] if loss.distance else None
        if pred.ndim == 3:  # cells of several levels, (B, C, L), are a map of one column
            pred, target = pred[..., None], target[..., None]
            weight, distance = (None if extra is None else extra[..., None] for extra in (weight, distance))
        if isinstance(loss, SummedLoss):
            sums = banded.sums(loss, pred, target, weight, align_corners, distance)
            return loss.value(distributed.gather_rows(sums) if every_rank else sums)
        full = resample.resize(pred.float(), (target.shape[-2], target.shape[-1]), align_corners)
        return loss(full, target, weight, *([] if distance is None else [distance]))

    def _try(self, name: str, spec: HeadSpec) -> None:
        """Let a loss see one empty pixel, so that weights of the wrong length are found now and not in a worker."""
        pred = torch.zeros(1, spec.channels, 1, 1)
        target = torch.zeros(1, 1, 1, dtype=torch.uint8) if spec.kind == "classes" else torch.zeros_like(pred)
        targets = {name: target, f"{name}_distance": torch.zeros(1, max(2, spec.channels), 1, 1)}
        self._head(name, pred, targets, align_corners=False, every_rank=False)

    def _stage_weights(self, name: str, count: int) -> Sequence[float]:
        if count == 1 and not self.training:
            return [1.0]
        weights = self.stages.get(name) or [1 / count] * count
        if isinstance(weights, str):
            return [2**i / (2**count - 1) for i in range(count)]
        if len(weights) != count:
            raise UserError(
                f"task.stages.{name} has {len(weights)} weights but the model has {count} stages; give one each"
            )
        return weights

    def _check(self) -> None:
        """The third gate: the parts fit together."""
        heads, losses = set(self.heads), set(self.losses)
        if heads != losses:
            raise UserError(
                f"task.losses has {sorted(losses)} but the heads are {sorted(heads)}; give every head a loss"
            )
        for key, names in {"weights": self.weights, "stages": self.stages}.items():
            if unknown := set(names) - heads:
                raise UserError(f"task.{key} names {sorted(unknown)}; the heads are {sorted(heads)}")
        for name, stages in self.stages.items():
            if isinstance(stages, str):
                choose(f"task.stages.{name}", stages, (HALVING,))
        for name, spec in self.heads.items():
            if self.losses[name].target != spec.kind:
                raise UserError(
                    f"task.losses.{name}: {type(self.losses[name]).__name__} is a loss for {self.losses[name].target}, "
                    f"but head {name} holds {spec.kind}; choose another loss"
                )
            if self.losses[name].distance:
                self.codec.with_distance_maps(name)
            self._try(name, spec)
        if missing := set(self.codec.required) - {*self.info.provides, "image"}:  # every sample has an image
            given = ", ".join(sorted(self.info.provides)) or "images alone"
            raise UserError(
                f"the task needs {', '.join(sorted(missing))}, but the dataset provides {given}; "
                "choose another task or dataset"
            )
        self.new_metrics()
