"""From the nodes of a configuration to the parts of a run. Training and evaluation put theirs together here."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from densepred.build import build
from densepred.config import Data
from densepred.contracts import Codec, Dataset, Model
from densepred.data import EvaluationLoader, Order, TrainingLoader
from densepred.errors import UserError
from densepred.instances import Crops, Instances
from densepred.ops.body import lower_body
from densepred.ops.frequency import median_frequency
from densepred.samples import EvaluationSamples, TrainingSamples
from densepred.task import Task
from densepred.transform.pipeline import Pipeline
from densepred.types import VOID, Annotation, Info

MEDIAN_FREQUENCY = "median_frequency"
Node = dict[str, Any]


def dataset(node: Node, split: str) -> Dataset:
    return build(node, None, "dataset")(split=split)


def pipeline(nodes: list[Node], info: Info, name: str) -> Pipeline:
    return Pipeline(build(nodes, None, f"transform.{name}"), info.mirrored, lower_body(info.keypoints))


def task_and_model(task_node: Node, model_node: Node, info: Info) -> tuple[Task, Model]:
    """The third gate is inside: parts that do not fit one another refuse here."""
    task = build(task_node, None, "task", info=info)
    model = build(model_node, None, "model", heads=task.heads, channels=info.channels, mean=info.mean, std=info.std)
    return task, model


def training_loader(
    data: Dataset, augment: Pipeline, codec: Codec, settings: Data, seed: int, device: torch.device
) -> TrainingLoader:
    if codec.per_instance:
        augment.require_framing("train")
        data = Instances(data)
    samples = TrainingSamples(data, augment, codec, seed, settings.on_bad == "skip")
    order = Order(len(samples), settings.batch_size, seed, settings.drop_last)
    return TrainingLoader(samples, order, settings.workers, settings.timeout_s, device.type == "cuda")


def evaluation_loader(
    data: Dataset,
    transform: Pipeline,
    codec: Codec,
    settings: Data,
    device: torch.device,
    boxes: Sequence[Annotation] | None = None,
) -> EvaluationLoader:
    """`boxes` were detected in each sample, for a codec that sees one instance at a time; None: those of the truth."""
    if codec.per_instance:
        transform.require_framing("valid")
        samples = Crops(data, transform, codec, boxes)
    else:
        samples = EvaluationSamples(data, transform, codec)
    pin = device.type == "cuda"
    return EvaluationLoader(samples, settings.batch_size, settings.workers, settings.timeout_s, pin)


def resolve_class_weights(task_node: Node, train: Dataset) -> tuple[Node, list[float] | None]:
    """The same node with `class_weights: median_frequency` as numbers, computed once from the training set."""
    if not _wanted(task_node):
        return task_node, None
    weights = [round(w, 6) for w in median_frequency(*class_counts(train)).tolist()]
    return _replaced(task_node, weights), weights


def class_counts(data: Dataset) -> tuple[torch.Tensor, torch.Tensor]:
    """Pixels of each class in each image of a dataset, (N, K), and of each image, void and all, (N,); int64."""
    classes = len(data.info.classes)
    counts, pixels = torch.zeros(len(data), classes, dtype=torch.int64), torch.zeros(len(data), dtype=torch.int64)
    for i in range(len(data)):
        labels = data[i].truth.semantic
        if labels is None:
            raise UserError("loss.class_weights: median_frequency needs class maps; this dataset has none, give a list")
        counts[i] = torch.bincount(labels[labels != VOID], minlength=classes)
        pixels[i] = labels.numel()
    return counts, pixels


def stored(node: Any) -> Any:
    """A node as a checkpoint stores it: its weights are in the file, so nothing is to be downloaded."""
    if isinstance(node, Mapping):
        return {key: False if key == "pretrained" else stored(value) for key, value in node.items()}
    return [stored(value) for value in node] if isinstance(node, list) else copy.deepcopy(node)


def _wanted(node: Any) -> bool:
    if isinstance(node, Mapping):
        return node.get("class_weights") == MEDIAN_FREQUENCY or any(map(_wanted, node.values()))
    return isinstance(node, list) and any(map(_wanted, node))


def _replaced(node: Any, weights: list[float]) -> Any:
    if isinstance(node, Mapping):
        return {
            key: weights if (key, value) == ("class_weights", MEDIAN_FREQUENCY) else _replaced(value, weights)
            for key, value in node.items()
        }
    return [_replaced(value, weights) for value in node] if isinstance(node, list) else node
