"""Build the parts of a run, of training and of evaluation, from the nodes of a configuration."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from densepred import distributed
from densepred.build import contract
from densepred.build.instantiate import build
from densepred.contracts import Codec, Dataset, Model
from densepred.dataset.image_file import Unreadable
from densepred.errors import UserError, classed
from densepred.jobs import on_device
from densepred.loader import workers
from densepred.loader.balance import ClassBalance, class_presence
from densepred.loader.crops import Crops, Instances
from densepred.loader.loaders import EvaluationLoader, Order, TrainingLoader
from densepred.loader.samples import EvaluationSamples, TrainingSamples
from densepred.nn import ceil_div
from densepred.rundir import splits
from densepred.rundir.log import Logger
from densepred.rundir.waiting import waiting
from densepred.settings import DataSettings
from densepred.task import Task
from densepred.transform.pipeline import Pipeline
from densepred.types import WHITE, Annotation, Info

LOWER = ("hip", "pelvis", "knee", "ankle", "foot", "heel", "toe")
Node = dict[str, Any]


def dataset(node: Node, split: str, skip: bool = False) -> Dataset:
    """Make a split of a dataset. With `skip` the error of a damaged file tells why data.on_bad=skip does not help."""
    try:
        with waiting(f"reading the {split} split", begin=False, enabled=distributed.is_main(), to=sys.stderr):
            return contract.make(build(node, None, "dataset"), "dataset", "dataset", split=split)
    except Unreadable as error:
        if not skip:
            raise
        fact = "data.on_bad=skip leaves out what training alone reads, and this dataset needs the file before"
        raise Unreadable(f"{error}; {fact}") from error


def read_as_trained(node: Node, trained: Mapping[str, Any]) -> Node:
    """Return the node of a dataset so that images are read as in a training; `trained` is the Info in its header.

    White is that of the training. Headers from before `max_value` belong to runs that divided 16 bits by 65535. So do
    those without a value of datasets outside of folders, which did not measure it before, or had no such image to
    measure. Images without masks, which would show their orientation, are turned as in the training.
    """
    found = dict(node)
    if "max_value" in node and node["max_value"] is None:
        value = trained.get("max_value", WHITE)
        found["max_value"] = WHITE if value is None and "masks" not in node else value
    if "window" in node and node["window"] is None:
        found["window"] = trained.get("window")
    if node.get("exif") == "auto" and node.get("masks", "") is None:
        found["exif"] = trained.get("exif", "auto")
    return found


def loggers(node: Node | None, folder: Path, config: Mapping[str, Any]) -> list[Logger]:
    """Make the chosen loggers of a run in `folder`; `config` holds its settings, dotted, without secrets.

    Raises UserError for one that cannot begin, as without a login or a network.
    """
    makers = build(node, None, "logger") or {}
    return [make_logger(name, make, folder, config) for name, make in makers.items()]


def make_logger(name: str, make: Callable[..., Logger], folder: Path, config: Mapping[str, Any]) -> Logger:
    """Make one logger; see `loggers`."""
    try:
        return make(folder, config)
    except Exception as error:
        if classed(error) is not None:
            raise
        fact = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise UserError(
            f"logger.{name}: cannot begin ({fact}); correct its settings, or choose another logger"
        ) from error


def random_split(node: Node) -> bool:
    """Look for fractions in the node of a dataset."""
    parts = node.get("splits")
    return isinstance(parts, Mapping) and any(isinstance(part, float) for part in parts.values())


def record(node: Node, datasets: Mapping[str, Dataset]) -> splits.Record | None:
    """Return the record of the splits of a dataset, with what decides its folds; None if it has no files."""
    folds = {key: node.get(key) for key in splits.FOLDS} if node.get("folds") is not None else None
    return splits.record(node.get("root"), datasets, folds)


def further_split(node: Node) -> Dataset | None:
    """Return the test images of a random split; None if there are none."""
    if not random_split(node) or not isinstance(node["splits"].get("test"), float):
        return None
    return dataset(node, "test")


def pipeline(nodes: list[Node], info: Info, name: str, codec: Codec | None = None) -> Pipeline:
    """Build transforms; keypoints that must not be mirrored matter only to a `codec` that reads them."""
    read = codec is None or "keypoints" in codec.required
    mirrored = info.mirrored if read else info.mirrored or ()
    found = Pipeline(build(nodes, None, f"transform.{name}"), mirrored, lower_body(info.keypoints))
    if name != "train":
        found.refuse_mixing(name)
    return found


def task_and_model(task_node: Node, model_node: Node, info: Info) -> tuple[Task, Model]:
    """Build the task and a model with its heads. Raises UserError for parts that do not fit one another."""
    task = build(task_node, None, "task", info=info)
    model = build(model_node, None, "model", heads=task.heads, channels=info.channels, mean=info.mean, std=info.std)
    return task, contract.require(model, "model", "model")


def training_loader(
    data: Dataset, augment: Pipeline, codec: Codec, settings: DataSettings, seed: int, device: torch.device
) -> TrainingLoader:
    if codec.top_down:
        augment.require_framing("train")
        data = Instances(data)
    skip_bad, classes = settings.on_bad == "skip", balance(data, settings, seed, codec)
    defer = on_device.deferring(augment, codec, settings)
    samples = TrainingSamples(data, augment, codec, seed, skip_bad, settings.foreground, classes, defer)
    order = Order(len(samples), settings.batch_size, seed, settings.drop_last)
    number = workers.number(settings.workers, device)
    return TrainingLoader(samples, order, number, settings.timeout_s, device.type == "cuda")


def balance(data: Dataset, settings: DataSettings, seed: int, codec: Codec) -> ClassBalance | None:
    """Return the draws of `data.balance=classes`, for which the dataset is read once; None without it.

    Raises UserError for a codec that takes one instance at a time.
    """
    if settings.balance is None:
        return None
    if codec.top_down:
        raise UserError(
            "data.balance=classes: this task trains on single instances, each as often as the others; remove it"
        )
    presence, errors = class_presence(data, settings.on_bad == "skip")
    return ClassBalance(presence, seed, data.info.classes, errors)


def evaluation_loader(
    data: Dataset,
    transform: Pipeline,
    codec: Codec,
    settings: DataSettings,
    device: torch.device,
    boxes: Sequence[Annotation] | None = None,
) -> EvaluationLoader:
    """Build the loader; `boxes` are detections per sample for a top-down codec, by default the ground-truth boxes.

    A batch has `valid_batch_size` images, or `batch_size` if that is None.
    """
    if codec.top_down:
        transform.require_framing("valid")
        samples = Crops(data, transform, codec, boxes)
    else:
        samples = EvaluationSamples(data, transform, codec)
    size, number = settings.valid_batch_size or settings.batch_size, workers.number(settings.workers, device)
    pin, skip = device.type == "cuda", settings.on_bad == "skip"
    return EvaluationLoader(samples, size, number, settings.timeout_s, pin, skip_bad=skip)


def in_validation(settings: DataSettings, images: int) -> DataSettings:
    """Return the settings of a validation during a run on this many images.

    `batch_size` is that of all devices together, as in a step. Each takes its share, and fewer if some would have none.
    """
    world = distributed.world()
    share = max(1, min(settings.batch_size // world, ceil_div(images, world)))
    return replace(settings, valid_batch_size=settings.valid_batch_size or share)


def lower_body(names: Sequence[str]) -> tuple[int, ...]:
    """Return the indices of keypoints of the lower body, by name; () if none or all are, as in feet or faces."""
    found = tuple(i for i, name in enumerate(names) if any(word in name.lower() for word in LOWER))
    return found if len(found) < len(names) else ()


def stored(node: Any) -> Any:
    """Return a node as a checkpoint stores it: without pretrained weights, because the file holds its own."""
    if isinstance(node, Mapping):
        return {key: False if key == "pretrained" else stored(value) for key, value in node.items()}
    return [stored(value) for value in node] if isinstance(node, list) else copy.deepcopy(node)
