"""Evaluation of a model on a dataset: exact over any number of processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from densepred import distributed
from densepred.contracts import Metric, Model
from densepred.engine import caps
from densepred.engine.amp import Precision
from densepred.engine.flip import with_mirror
from densepred.loader.crops import merge_instances
from densepred.loader.loaders import EvaluationLoader
from densepred.rundir.progress_bar import ProgressBar
from densepred.task import Task
from densepred.types import Annotation, Batch, Outputs

Seen = Callable[[Batch, list[Annotation], Outputs], None]


@contextmanager
def any_size() -> Iterator[None]:
    """Take cuDNN's algorithms as it guesses them: trying them for images of every size costs more than it gains."""
    before, torch.backends.cudnn.benchmark = torch.backends.cudnn.benchmark, False
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


@any_size()
@torch.inference_mode()
def evaluate(
    model: Model,
    task: Task,
    loader: EvaluationLoader,
    device: torch.device,
    precision: Precision,
    seen: Seen | None = None,
    flip: bool = False,
    split: str = "validation",
    codec: str = "task.codec",
) -> dict[str, float | None]:
    """Compute the metrics of the task, and `loss/total` and `loss/<head>` as means over images.

    A notice tells if an image of the `split` holds more objects than a limit lets through: of the
    metrics, or of the codec, with its settings under the key `codec`.
    With `flip` the outputs are averaged with those of the mirrored images. `seen` is called with every batch, its
    predictions and its outputs. The result is equal on every rank.
    """
    if flip:
        task.require_mirror()
    modes = model.training, task.training
    model.train(False)
    task.train(False)
    metrics, losses, most = task.new_metrics(), [], caps.Crowding()
    predict = _mirrored(model, task, precision) if flip else _plain(model, precision)
    with ProgressBar(split, loader.count, "sample", enabled=distributed.is_main()) as bar:
        for batch in loader:
            on_device = batch.to(device)
            outputs = _in_chunks(predict, on_device.image, loader.batch_size)
            if batch.targets:
                terms = {k: v.detach() for k, v in task.loss(outputs, on_device.targets, model.align_corners).items()}
                losses.append((batch.frames[0].id, len(batch.frames), terms))
            most.add(batch.truths)
            found = decode_and_score(task, metrics, outputs, batch, model.align_corners)
            if seen is not None:
                seen(batch, found, outputs)
            bar.update(len(batch.image))
    model.train(modes[0])
    task.train(modes[1])
    for other in distributed.gather(most):
        most.merge(other)
    caps.tell(task, most, split, codec=codec)
    return {**compute(metrics), **_mean_losses(losses)}


def _plain(model: Model, precision: Precision) -> Callable[[Tensor], Outputs]:
    def predict(images: Tensor) -> Outputs:
        with precision.autocast():
            return model(images)

    return predict


def _mirrored(model: Model, task: Task, precision: Precision) -> Callable[[Tensor], Outputs]:
    """Return a function that averages the last stage of each head with that of the mirrored images."""
    plain = _plain(model, precision)

    def last(images: Tensor) -> dict[str, Tensor]:
        outputs = plain(images)
        return {name: outputs[name][-1].float() for name in task.heads}

    def predict(images: Tensor) -> Outputs:
        found = with_mirror(last, task, images, model.align_corners)
        return {name: [value] for name, value in found.items()}

    return predict


def _in_chunks(predict: Callable[[Tensor], Outputs], images: Tensor, most: int) -> Outputs:
    """Return the outputs of images, computed for at most `most` at a time: one image may have more crops."""
    parts = [predict(part) for part in images.split(most)] if len(images) else []
    if len(parts) < 2:
        return parts[0] if parts else {}
    return {name: [torch.cat(stage) for stage in zip(*(p[name] for p in parts), strict=True)] for name in parts[0]}


def decode_and_score(
    task: Task, metrics: dict[str, Metric], outputs: Outputs, batch: Batch, align_corners: bool
) -> list[Annotation]:
    """Decode the outputs of a batch and update the metrics; return the predictions, one per image.

    Probabilities have the size of all enlarged logits. So they are made for one image at a time, and only if a metric
    asks for them.
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
    """Copy rank 0's running statistics to every process: these are saved."""
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
    """Compute metrics over all processes; the result is equal on every rank."""
    return {name: value for metric in _merge(metrics).values() for name, value in metric.compute().items()}


def _mean_losses(losses: list) -> dict[str, float | None]:
    """Return means over images, summed in the order of the dataset: independent of the number of processes."""
    mine = [(first, count, {name: value.item() for name, value in terms.items()}) for first, count, terms in losses]
    parts = distributed.gather(mine)
    everything = sorted((batch for part in parts for batch in part), key=lambda batch: batch[0])
    total = sum(count for _, count, _ in everything)
    names = everything[0][2] if everything else {}
    return {f"loss/{name}": sum(count * terms[name] for _, count, terms in everything) / total for name in names}
