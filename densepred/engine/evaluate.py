"""Judging a model on a dataset: exact over any number of processes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from densepred import distributed
from densepred.contracts import Metric, Model
from densepred.engine.amp import Precision
from densepred.engine.flip import with_mirror
from densepred.loader.crops import merge_instances
from densepred.loader.loaders import EvaluationLoader
from densepred.task import Task
from densepred.types import Annotation, Batch, Outputs

Seen = Callable[[Batch, list[Annotation], Outputs], None]


@torch.inference_mode()
def evaluate(
    model: Model,
    task: Task,
    loader: EvaluationLoader,
    device: torch.device,
    precision: Precision,
    seen: Seen | None = None,
    flip: bool = False,
) -> dict[str, float | None]:
    """Metrics of the task and `loss/total`, `loss/<head>` as means over images.

    With `flip` what the model says is the mean with what it says of mirrored images. `seen` is called with every batch,
    what the model makes of it, and what it said. The same on every rank.
    """
    modes = model.training, task.training
    model.train(False)
    task.train(False)
    metrics, losses = task.new_metrics(), []
    answer = _mirrored(model, task, precision) if flip else _plain(model, precision)
    for batch in loader:
        on_device = batch.to(device)
        outputs = _answers(answer, on_device.image, loader.batch_size)
        if batch.targets:
            terms = {k: v.detach() for k, v in task.loss(outputs, on_device.targets, model.align_corners).items()}
            losses.append((batch.frames[0].id, len(batch.frames), terms))
        found = decode_and_score(task, metrics, outputs, batch, model.align_corners)
        if seen is not None:
            seen(batch, found, outputs)
    model.train(modes[0])
    task.train(modes[1])
    return {**compute(metrics), **_mean_losses(losses)}


def _plain(model: Model, precision: Precision) -> Callable[[Tensor], Outputs]:
    def answer(images: Tensor) -> Outputs:
        with precision.autocast():
            return model(images)

    return answer


def _mirrored(model: Model, task: Task, precision: Precision) -> Callable[[Tensor], Outputs]:
    """The mean with the mirror image; of stages the last alone."""
    plain = _plain(model, precision)

    def last(images: Tensor) -> dict[str, Tensor]:
        outputs = plain(images)
        return {name: outputs[name][-1].float() for name in task.heads}

    def answer(images: Tensor) -> Outputs:
        found = with_mirror(last, task, images, model.align_corners)
        return {name: [value] for name, value in found.items()}

    return answer


def _answers(answer: Callable[[Tensor], Outputs], images: Tensor, most: int) -> Outputs:
    """What is said of images, at most so many at a time: one image may have more crops than a batch."""
    parts = [answer(part) for part in images.split(most)] if len(images) else []
    if len(parts) < 2:
        return parts[0] if parts else {}
    return {name: [torch.cat(stage) for stage in zip(*(p[name] for p in parts), strict=True)] for name in parts[0]}


def decode_and_score(
    task: Task, metrics: dict[str, Metric], outputs: Outputs, batch: Batch, align_corners: bool
) -> list[Annotation]:
    """What the model makes of a batch, shown to the metrics.

    Probabilities are as large as all enlarged logits, so they exist for one image at a time, and only where asked for.
    """
    if batch.owners is not None or not any(metric.probabilities for metric in metrics.values()):
        found = task.decode(outputs, batch.frames, align_corners) if batch.frames else []
        found = found if batch.owners is None else merge_instances(task.codec, found, batch)
        for metric in metrics.values():
            metric.update(found, batch.truths)
        return found
    found = []
    for i, (frame, truth) in enumerate(zip(batch.frames, batch.truths, strict=True)):
        one = {name: [stage[i : i + 1] for stage in stages] for name, stages in outputs.items()}
        (annotation,) = task.decode(one, [frame], align_corners, probabilities=True)
        for metric in metrics.values():
            metric.update([annotation], [truth])
        annotation.probabilities = None
        found.append(annotation)
    return found


def share_buffers(model: nn.Module) -> None:
    """Give every process rank 0's running statistics: those are the ones that are saved."""
    if distributed.world() > 1:
        for buffer in model.buffers():
            torch.distributed.broadcast(buffer, src=0)


def _merge(metrics: dict[str, Metric]) -> dict[str, Metric]:
    first, *others = distributed.gather(metrics)
    for other in others:
        for name, metric in first.items():
            metric.merge(other[name])
    return first


def compute(metrics: dict[str, Metric]) -> dict[str, float | None]:
    """The values of metrics over all processes, equal on each."""
    return {name: value for metric in _merge(metrics).values() for name, value in metric.compute().items()}


def _mean_losses(losses: list) -> dict[str, float | None]:
    """Means over images, added up in the order of the dataset so that the number of processes does not matter."""
    mine = [(first, count, {name: value.item() for name, value in terms.items()}) for first, count, terms in losses]
    parts = distributed.gather(mine)
    everything = sorted((batch for part in parts for batch in part), key=lambda batch: batch[0])
    total = sum(count for _, count, _ in everything)
    names = everything[0][2] if everything else {}
    return {f"loss/{name}": sum(count * terms[name] for _, count, terms in everything) / total for name in names}
