"""Data, task, model and loaders of a training run, checked against each other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from densepred import distributed
from densepred.contracts import Dataset, Model
from densepred.errors import UserError
from densepred.jobs import caching, effects, former_run, layout, overlap, parts, placement, readable, resuming
from densepred.jobs.class_weights import resolve_class_weights
from densepred.jobs.content import require_content, warn_of_missing
from densepred.jobs.headers import warn_of_files
from densepred.jobs.object_counts import warn_of_limits
from densepred.jobs.recipe import Built
from densepred.loader import by_name
from densepred.loader.loaders import EvaluationLoader, TrainingLoader
from densepred.rundir.folder import begun_info
from densepred.rundir.log import Log
from densepred.settings import TrainSettings
from densepred.task import Task
from densepred.types import Info
from densepred.weights import pretrained
from densepred.weights.file import foreign


@dataclass(frozen=True, slots=True)
class Prepared:
    """The parts of a run, on its device."""

    train: Dataset
    valid: Dataset
    task: Task
    task_node: dict[str, Any]  # the settings of the task, class weights as numbers
    model: Model
    train_loader: TrainingLoader
    valid_loader: EvaluationLoader
    notes: list[str]  # what was chosen on the way, for the log


def prepare(
    settings: TrainSettings,
    written: dict[str, Any],
    built: Built | None,
    folder: Path,
    device: torch.device,
    log: Log,
    resume: bool,
) -> Prepared:
    """Build the parts of a run, and refuse or warn of what does not fit together.

    written: the configuration as written
    built: the training split, if a recipe has read it
    """
    train, valid = datasets(settings, built, begun_info(folder) if resume else None, folder)
    restored = resuming.from_checkpoint(folder) if resume else None
    model_node = settings.model if restored is None else parts.stored(settings.model)
    task_node, class_weights = resolve_class_weights(settings.task, train, settings.data.on_bad == "skip")
    torch.manual_seed(settings.seed)
    task, model = parts.task_and_model(task_node, model_node, train.info)
    task.require_predicted()
    valid = by_name.matched(valid, train.info, task.codec.required, "the validation split", "the training split")
    notes = _start(model, settings, task, log, restored)
    if restored is None:
        former_run.tell(settings, train, valid)
    notes += layout.settle(settings.trainer, written, model, device, folder if resume else None)
    _check(train, valid, task, settings)
    model, task = placement.placed(model, settings, device), task.to(device)
    task.kernels = settings.trainer.fused_loss
    train, valid, kept = caching.kept(train, valid, settings.data, device)
    readable.require(valid, settings.data, device, resume)
    train_loader, valid_loader = _loaders(train, valid, task, settings, device)
    notes += kept
    if class_weights:
        notes.append(f"class weights (median frequency): {class_weights}")
    if (balance := train_loader.samples.balance) is not None:
        notes.append(balance.describe())
    return Prepared(train, valid, task, task_node, model, train_loader, valid_loader, notes)


def _check(train: Dataset, valid: Dataset, task: Task, settings: TrainSettings) -> None:
    """Refuse data that the task cannot learn from; warn of what limits or files leave out."""
    require_content(train, task.codec)
    if distributed.is_main():
        warn_of_limits(train, task)
        if settings.data.check:
            warn_of_files({"train": train, "valid": valid}, settings.data.max_pixels)
    warn_of_missing(valid, task.codec, "valid")


def datasets(
    settings: TrainSettings, built: Built | None, began: dict[str, Any] | None, folder: Path
) -> tuple[Dataset, Dataset]:
    """Return the splits train and valid, read alike; `began` is the Info with which a resumed run began."""
    node = settings.dataset if began is None else parts.read_as_trained(settings.dataset, began)
    skip = settings.data.on_bad == "skip"
    train = built.told_again() if built is not None and built.node == node else parts.dataset(node, "train", skip)
    valid = parts.dataset(parts.read_as_trained(node, {"max_value": train.info.max_value}), "valid", skip)
    overlap.check("train", train, "valid", valid, settings.data.allow_overlap)
    return train if began is None else _as_begun(train, began, folder), valid


def _as_begun(train: Dataset, info: dict[str, Any], folder: Path) -> Dataset:
    """Return the training split in the order of classes and keypoints with which the run began."""
    begun = Info.from_json(info)
    required = {"semantic", *(["keypoints"] if begun.keypoints else [])} if begun.classes or begun.keypoints else set()
    return by_name.matched(train, begun, required, "the training split", f"the run in {folder}")


def _loaders(
    train: Dataset, valid: Dataset, task: Task, settings: TrainSettings, device: torch.device
) -> tuple[TrainingLoader, EvaluationLoader]:
    augment = parts.pipeline(settings.transform["train"], train.info, "train", task.codec)
    transform = parts.pipeline(settings.transform["valid"], valid.info, "valid", task.codec)
    train_loader = parts.training_loader(train, augment, task.codec, settings.data, settings.seed, device)
    validation = parts.in_validation(settings.data, len(valid))
    return train_loader, parts.evaluation_loader(valid, transform, task.codec, validation, device)


def _start(model: Model, settings: TrainSettings, task: Task, log: Log, restored: int | None) -> list[str]:
    """Load the weights that `weights.*` names; return notes for the log, written at once if loading fails.

    A run that goes on from the checkpoint of step `restored` gets its weights afterwards: no other file is read.
    """
    if restored is not None:
        return resuming.not_read(settings, restored)
    notes: list[str] = []
    own = sorted(foreign(settings.task.get("codec")))
    try:
        pretrained.load(model, settings.weights, task.heads, notes.append, settings.model, own)
    except UserError:
        for note in notes:
            log.say(note)
        raise
    notes += effects.typed_statistics(settings.dataset, model)
    return notes
