"""Diagnostics of a trained model: checkerboards in its outputs, and shift equivariance."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from densepred import distributed
from densepred.contracts import Model
from densepred.engine.amp import Precision
from densepred.engine.evaluate import any_size
from densepred.engine.modes import evaluation_mode
from densepred.errors import UserError
from densepred.loader.loaders import EvaluationLoader
from densepred.ops.resize import resample
from densepred.ops.score.checkerboard import checkerboard
from densepred.ops.score.shift_equivariance import shift_equivariance
from densepred.task import Task

IMAGES = 16
"""Number of images that each process examines, the first of its share."""


@any_size()
@torch.inference_mode()
def probe(
    model: Model, task: Task, loader: EvaluationLoader, device: torch.device, precision: Precision
) -> dict[str, float | None]:
    """Compute `checkerboard` and `shift_equivariance`: means over images and heads, None if no head has them.

    A checkerboard is measured in every output map at the model's own stride, shift equivariance in heads of classes
    alone. The result is equal on every rank.
    """
    scores: dict[str, list[float]] = {"checkerboard": [], "shift_equivariance": []}
    with evaluation_mode(model):
        for image in _images(loader, device):
            with precision.autocast():
                outputs = model(image)
            for name, spec in task.heads.items():
                output = outputs[name][-1].float()
                if output.ndim == 4:
                    values = _centered(output) if spec.kind == "classes" else output
                    scores["checkerboard"] += checkerboard(values).tolist()
                if output.ndim == 4 and spec.kind == "classes":
                    scores["shift_equivariance"] += _shifted(_classes(model, name, precision), image)
    gathered = distributed.gather(scores)
    return {name: _mean([value for part in gathered for value in part[name]]) for name in scores}


def _images(loader: EvaluationLoader, device: torch.device) -> Iterator[Tensor]:
    """Yield the first IMAGES images of a loader, in batches (B, C, H, W)."""
    left = IMAGES
    for batch in loader:
        image = batch.to(device).image[:left]
        if len(image) == 0:  # images without instances
            continue
        yield image
        left -= len(image)
        if left == 0:
            return


def _centered(logits: Tensor) -> Tensor:
    """Subtract the mean over channels: a softmax depends on differences of logits alone."""
    logits = resample.two_channels(logits)
    return logits - logits.mean(1, keepdim=True)


def _classes(model: Model, head: str, precision: Precision) -> Callable[[Tensor], Tensor]:
    def classes(image: Tensor) -> Tensor:
        with precision.autocast():
            logits = model(image)[head][-1]
        size = (int(image.shape[-2]), int(image.shape[-1]))
        return resample.argmax(logits.float(), size, model.align_corners)

    return classes


def _shifted(classes: Callable[[Tensor], Tensor], image: Tensor) -> list[float]:
    try:
        shares = shift_equivariance(classes, image).tolist()
    except UserError:  # the windows are smaller than the images, perhaps smaller than the encoder takes
        return []
    return [share for share in shares if not math.isnan(share)]


def _mean(values: list[float]) -> float | None:
    mean = math.fsum(values) / len(values) if values else math.nan
    return mean if math.isfinite(mean) else None
