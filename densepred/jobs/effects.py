"""Settings without effect in a run, as far as the model and the number of steps decide."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from densepred.contracts import Model
from densepred.engine.closed_form import ClosedFormFit
from densepred.engine.trainer import Trainer
from densepred.settings import TrainSettings
from densepred.task import Task


def without(
    settings: TrainSettings, task: Task, model: Model, fitter: Trainer | ClosedFormFit, batches: int
) -> Iterator[str]:
    """Yield a sentence for each setting that cannot act; `batches` are those of an epoch."""
    yield from _statistics(settings.dataset, getattr(model, "encoder", None))
    lengths = [name for name, spec in task.heads.items() if spec.positive]
    if lengths and not model.bounds:
        yield (
            f"head {lengths[0]} holds lengths, and this model does not keep them above 0: boxes may have no area; "
            "model=encoder_decoder and others with its heads do"
        )
    if isinstance(fitter, Trainer):
        steps, interval = fitter.lengths(batches)
        yield from _warmup(fitter.scheduler.warmup, steps)
        yield from _patience(settings.trainer.patience, steps, interval)


def _statistics(dataset: dict[str, Any], encoder: Any) -> Iterator[str]:
    mean, std = getattr(encoder, "mean", None), getattr(encoder, "std", None)
    for key, expected in (("mean", mean), ("std", std)):
        given = dataset.get(key)
        if expected is not None and given is not None and list(given) != list(expected):
            yield (
                f"dataset.{key}={list(given)}: has no effect: the pretrained weights of the encoder expect "
                f"{list(expected)}, and images are normalised by these"
            )


def _warmup(warmup: float, steps: int | None) -> Iterator[str]:
    if 0 < warmup < 1 and steps is None:
        yield (
            f"scheduler.warmup={warmup:g}: has no effect: it is a fraction of the run, and trainer.max_minutes alone "
            "gives no number of steps; give steps, or add trainer.max_steps=N or trainer.epochs=N"
        )
    elif warmup >= 1 and steps is not None and warmup >= steps:
        yield (
            f"scheduler.warmup={warmup:g}: as long as the run of {steps} steps or longer, so the learning rate never "
            "reaches optimizer.lr; give fewer steps, or a fraction of the run such as 0.05"
        )


def _patience(patience: int | None, steps: int | None, interval: int) -> Iterator[str]:
    if patience is not None and steps is not None and patience >= -(-steps // interval):
        yield (
            f"trainer.patience={patience}: has no effect: the run has {-(-steps // interval)} validations; give fewer, "
            "or a smaller trainer.valid_every"
        )
