"""Evaluation of a model on a dataset: exact over any number of processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn

from densepred import distributed
from densepred.contracts import Metric, Model
from densepred.engine import detection_limits
from densepred.engine.amp import Precision
from densepred.engine.flip import with_mirror
from densepred.engine.folding import folded
from densepred.engine.modes import evaluation_mode
from densepred.loader.crops import merge_instances
from densepred.loader.loaders import EvaluationLoader
from densepred.process import memory
from densepred.rundir.progress_bar import ProgressBar
from densepred.task import Task
from densepred.types import Annotation, Batch, Frame, Outputs

TIDY_EVERY = 16
"""Batches after which memory is tidied: its peak must not grow with the number of images."""

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
    """Compute the metrics of the task, and `loss/total` and `loss/<head>`: means over batches by their images.

    A notice tells if an image of the `split` holds more objects than a limit lets through: of the
    metrics, or of the codec, with its settings under the key `codec`.
    With `flip` the outputs are averaged with those of the mirrored images. `seen` is called with every batch, its
    predictions and its outputs. The result is equal on every rank.
    """
    if flip:
        task.require_mirror()
    metrics, losses, most = task.new_metrics(), Losses(), detection_limits.ObjectCounts()
    predict = _mirrored(model, task, precision) if flip else _plain(model, precision)
    shown = ProgressBar(split, loader.count, "sample", enabled=distributed.is_main())
    folding = folded(model) if precision.dtype == torch.float32 else nullcontext()
    with shown as bar, evaluation_mode(model, task), folding:
        for number, batch in enumerate(loader, 1):
            on_device = batch.to(device)
            outputs = _in_chunks(predict, on_device.image, loader.batch_size)
            if batch.targets:
                losses.add(batch.frames, task.loss(outputs, on_device.targets, model.align_corners))
            most.add(batch.truths)
            found = decode_and_score(task, metrics, outputs, batch, model.align_corners)
            if seen is not None:
                seen(batch, found, outputs)
            bar.update(len(batch.image))
            if number % TIDY_EVERY == 0:
                losses.read()
                memory.give_back()
    for other in distributed.gather(most):
        most.merge(other)
    detection_limits.tell(task, most, split, codec=codec)
    return {**compute(metrics), **losses.means()}


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


class Losses:
    """The losses of each batch; they stay on the device until they are read."""

    def __init__(self) -> None:
        self.names: tuple[str, ...] = ()
        self.values: list[tuple[str, int, list[float]]] = []  # of a batch: its first image, its number of images, terms
        self._waiting: list[tuple[str, int, Tensor]] = []

    def add(self, frames: Sequence[Frame], terms: Mapping[str, Tensor]) -> None:
        self.names = tuple(terms)
        self._waiting.append((frames[0].id, len(frames), torch.stack([*terms.values()])))

    def read(self) -> None:
        """Read what is on the device. Small tensors that are kept would split the heap, see `memory.give_back`."""
        self.values += [(first, count, terms.tolist()) for first, count, terms in self._waiting]
        self._waiting.clear()

    def means(self) -> dict[str, float | None]:
        """Return means over batches, each weighted by its images; the order of sums is that of the ids of first images.

        So they do not depend on the number of processes, if batches are equal.
        """
        self.read()
        parts = distributed.gather((self.names, self.values))
        everything = sorted((batch for _, part in parts for batch in part), key=lambda batch: batch[0])
        total = sum(count for _, count, _ in everything)
        names = next((names for names, _ in parts if names), ())
        sums = [sum(count * terms[index] for _, count, terms in everything) for index in range(len(names))]
        return {f"loss/{name}": value / total for name, value in zip(names, sums, strict=True)}
