"""A task: one codec, one loss per head, some metrics. Every task is this class; see `configs/task`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from densepred import distributed
from densepred.build import contract
from densepred.contracts import Codec, Loss, Metric, SummedLoss
from densepred.nn import choose
from densepred.ops.loss import banded
from densepred.ops.loss.left_out import leave_out_coarse
from densepred.ops.resize import resample
from densepred.types import Annotation, Frame, HeadSpec, Info, Outputs, Targets, UserError

HALVING = "halving"
CHANNELS = "channels"


class Task(nn.Module):
    """A codec with the losses, metrics and weights that belong to it. Raises UserError if they do not fit.

    weights: factors of the heads' losses in the total, by default 1. "channels" is the head's number of channels over
        that of the smallest head: means over channels then add up as one sum over the channels of all heads
    stages: weights of the stages of a head. By default they are equal; "halving" gives each half the weight of the
        next, as nnU-Net does (arXiv 1809.10486); both add up to 1
    monitor: the metric by which the best checkpoint is chosen

    In evaluation mode a model may return its last stage alone. It then has weight 1, so that validation losses of
    models with and without stages are comparable.
    """

    kernels = True  # whether losses may use kernels of their own on a CUDA device

    def __init__(
        self,
        info: Info,
        codec: Callable[..., Codec],
        losses: Mapping[str, Loss],
        weights: Mapping[str, float | str] | None = None,
        stages: Mapping[str, Sequence[float] | str] | None = None,
        metrics: Mapping[str, Callable[..., Metric]] | None = None,
        monitor: str = "miou",
    ) -> None:
        super().__init__()
        self.info = info
        self.codec = codec(info=info)
        self.losses = nn.ModuleDict(
            {name: contract.require(loss, "loss", f"task.losses.{name}") for name, loss in losses.items()}
        )
        self.weights = {name: self._weight(name, value) for name, value in (weights or {}).items()}
        self.stages = dict(stages or {})
        self.metrics = dict(metrics or {})
        self.monitor = monitor
        self._check()

    @property
    def heads(self) -> dict[str, HeadSpec]:
        return self.codec.heads

    def direction(self, name: str | None = None) -> str:
        """Return "max" or "min": the direction in which a metric improves, by default the monitored one."""
        ways = {key: way for metric in self.new_metrics().values() for key, way in metric.mode.items()}
        name = name or self.monitor
        if name not in ways:
            known = f"set trainer.monitor to one of {', '.join(sorted(ways))}" if ways else "choose a metric"
            raise UserError(f"trainer.monitor: no metric computes '{name}'; {known}")
        return ways[name]

    def require_mirror(self) -> None:
        """Raise UserError if predictions of mirror images cannot be flipped back: partners of keypoints are unknown."""
        if "keypoints" in self.codec.required and self.info.mirrored is None:
            raise UserError(
                "flip: the keypoints of the training had sides without partners, so the model saw no mirror images; "
                "leave flip out, or give the JSON file flip_indices and train again"
            )

    def require_predicted(self) -> None:
        """Raise UserError if a metric reads what the codec does not predict. A prediction computes no metric."""
        predicts = self.codec.predicts
        for metric in self.new_metrics().values():
            try:
                metric.check(self.info, predicts)
            except UserError as error:
                words = [word for field, word in self._further() if _fits(metric, self.info, (*predicts, field))]
                if not words:
                    raise
                fact = str(error).rpartition("; ")[0]
                raise UserError(f"{fact}; type {words[0]}, or choose another metric") from error

    def _further(self) -> list[tuple[str, str]]:
        """Return fields that the codec predicts under another setting, with the word for it."""
        return list(getattr(self.codec, "further", {}).items())

    def loss(
        self, outputs: Outputs, targets: Targets, align_corners: bool = False, every_rank: bool = False
    ) -> dict[str, Tensor]:
        """Compute the weighted "total" and the unweighted loss of each head, 0-d float32.

        With `every_rank` the sums of all processes enter one formula, as if they were one batch.
        """
        contract.require_outputs(outputs, self.heads)
        targets, terms = self.codec.expand(targets), {}
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
        """Decode the last stage of every head to annotations of the original images."""
        final = {name: outputs[name][-1].float() for name in self.heads}
        return self.codec.decode(final, frames, align_corners, probabilities)

    def new_metrics(self) -> dict[str, Metric]:
        """Return new metrics by name. Raises UserError if two compute a score of the same name."""
        made = {
            option: contract.make(metric, "metric", f"metric.{option}", info=self.info)
            for option, metric in self.metrics.items()
        }
        owners: dict[str, str] = {}
        for option, metric in made.items():
            metric.check(self.info)
            if taken := [name for name in metric.mode if name in owners]:
                prefix = f"metric.{option}.prefix={option.partition('_')[0]}_"
                remedy = f", or set {prefix}" if hasattr(metric, "prefix") else ""
                raise UserError(
                    f"metric: {owners[taken[0]]} and {option} both compute {taken[0]}; choose one of them{remedy}"
                )
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
        if pred.ndim == 3:  # locations of several levels, (B, C, L), become a map of one column
            pred, target = pred[..., None], target[..., None]
            weight, distance = (None if extra is None else extra[..., None] for extra in (weight, distance))
        if isinstance(loss, SummedLoss):
            sums = banded.sums(loss, pred, target, weight, align_corners, distance, self.kernels)
            return loss.value(distributed.gather_rows(sums) if every_rank else sums)
        pred = leave_out_coarse(pred, loss.target, target, weight, align_corners)
        full = resample.resize(pred.float(), (target.shape[-2], target.shape[-1]), align_corners)
        return loss(full, target, weight, *([] if distance is None else [distance]))

    def _try(self, name: str, spec: HeadSpec) -> None:
        """Call a loss on one empty pixel, so that weights of the wrong length are found before training."""
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

    def _weight(self, name: str, value: float | str) -> float:
        """Return the weight of a head; raise UserError if it is a word other than "channels"."""
        if not isinstance(value, str):
            return value
        choose(f"task.weights.{name}", value, (CHANNELS,))
        least = min(spec.channels for spec in self.heads.values())
        return self.heads[name].channels / least if name in self.heads else 1.0

    def _check(self) -> None:
        """Raise UserError if codec, heads, losses and dataset do not fit."""
        heads, losses = set(self.heads), set(self.losses)
        if heads != losses:
            raise UserError(
                f"task.losses has {sorted(losses)} but the heads are {sorted(heads)}; give each head one loss"
            )
        for key, names in {"weights": self.weights, "stages": self.stages}.items():
            if unknown := set(names) - heads:
                raise UserError(f"task.{key} names {sorted(unknown)}; name heads: {sorted(heads)}")
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
                f"task: it needs {', '.join(sorted(missing))}, but the dataset provides {given}; "
                "choose another task or dataset"
            )
        self.new_metrics()


def _fits(metric: Metric, info: Info, predicts: Sequence[str]) -> bool:
    try:
        metric.check(info, predicts)
    except UserError:
        return False
    return True
