"""Settings without effect in a run, as far as the model and the number of steps decide."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from densepred.contracts import Encoder, Model
from densepred.engine.closed_form import ClosedFormFit
from densepred.engine.trainer import Trainer
from densepred.nn import ceil_div
from densepred.ops.loss import fused
from densepred.rundir import override
from densepred.settings import TrainSettings
from densepred.task import Task


def without(
    settings: TrainSettings,
    task: Task,
    model: Model,
    fitter: Trainer | ClosedFormFit,
    batches: int,
    overrides: Iterable[str],
) -> Iterator[str]:
    """Yield a sentence for each setting that cannot act; `batches` are those of an epoch.

    What no override names may be the choice of a recipe, made for runs of any length and on any device.
    """
    lengths = [name for name, spec in task.heads.items() if spec.positive]
    if lengths and not model.bounds:
        yield (
            f"head {lengths[0]} holds lengths, and this model does not keep them above 0: boxes may have no area; "
            "model=encoder_decoder and others with its heads do"
        )
    if settings.trainer.fused_loss and _on_cuda(model) and not fused.installed():
        yield (
            "trainer.fused_loss=true: has no effect: Triton cannot be imported, so operations of torch compute the "
            "loss; pip install triton"
        )
    words = {override.key(word) for word in overrides}
    if "trainer.fused_loss" in words and not _on_cuda(model):
        yield "trainer.fused_loss: has no effect: its kernels run on CUDA alone"
    if settings.trainer.checkpointing and not any(weight.requires_grad for weight in _encoder_weights(model)):
        yield "trainer.checkpointing=true: has no effect: the encoder is frozen, and keeps no activations anyway"
    if isinstance(fitter, Trainer):
        yield from _frozen(model, settings.optimizer.get("groups") or {})
        steps, interval = fitter.lengths(batches)
        yield from _warmup(fitter.scheduler.warmup, steps)
        if "trainer.patience" in words:
            yield from _patience(settings.trainer.patience, steps, interval)


def _frozen(model: Model, groups: Iterable[str]) -> Iterator[str]:
    """Yield a sentence for each part in `optimizer.groups` that `trainer.freeze` leaves no gradient."""
    for part in groups:
        weights = [weight for name, weight in model.named_parameters() if f"{name}.".startswith(f"{part}.")]
        if weights and not any(weight.requires_grad for weight in weights):
            yield f"optimizer.groups.{part}: has no effect: trainer.freeze keeps this part as it is; remove one of them"


def of_crops(settings: TrainSettings, task: Task, provides: Iterable[str]) -> Iterator[str]:
    """Yield a sentence if every training crop counts as one with an object, so that none is drawn again."""
    if not settings.data.foreground:
        return
    key = f"data.foreground={settings.data.foreground:g}: has no effect"
    if task.codec.top_down:
        yield f"{key}: this task trains on crops around single instances"
    elif not {"semantic", "instances", "boxes"} & set(provides):
        yield f"{key}: the dataset has neither class maps nor objects"


def slower(settings: TrainSettings, model: Model) -> Iterator[str]:
    """Yield a sentence where a CUDA device computes far slower than it could; figures of `scripts/bench_gpu.py`."""
    if _on_cuda(model) and settings.trainer.precision == "fp32" and settings.trainer.deterministic:
        yield (
            "float32 and deterministic algorithms: trainer=gpu trains without both, on an H200 five times faster for a "
            "U-Net and twice for DeepLabV3"
        )


@torch.no_grad()
def typed_statistics(dataset: dict[str, Any], model: Model) -> Iterator[str]:
    """Give the model the dataset's typed mean and std; yield a sentence where these replace those of its weights."""
    for key in ("mean", "std"):
        given, own = dataset.get(key), getattr(model, key, None)
        if given is None or not isinstance(own, Tensor) or own.numel() != len(given):
            continue
        typed = own.new_tensor(list(given)).view_as(own)
        if not torch.equal(own, typed):
            yield (
                f"dataset.{key}={list(given)}: typed, so it replaces {[round(x, 4) for x in own.flatten().tolist()]}, "
                "which the pretrained weights expect"
            )
            own.copy_(typed)


def _encoder_weights(model: Model) -> Iterator[nn.Parameter]:
    for part in model.modules():
        if isinstance(part, Encoder):
            yield from part.parameters()


def _on_cuda(model: Model) -> bool:
    return any(weight.device.type == "cuda" for weight in model.parameters())


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
    validations = None if steps is None else ceil_div(steps, interval)
    if patience is not None and validations is not None and patience >= validations:
        many = "1 validation" if validations == 1 else f"{validations} validations"
        yield (
            f"trainer.patience={patience}: has no effect: the run has {many}; give fewer, or a smaller "
            "trainer.valid_every"
        )
