"""Settings of `recipe=...` that depend on the data: the crop, the batch, the length and sizes of objects."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from omegaconf import DictConfig, OmegaConf

from densepred.cli import compose
from densepred.cli.note import say
from densepred.contracts import Dataset
from densepred.errors import Notice, UserError
from densepred.jobs import parts, recipe_beside
from densepred.jobs.measured import (
    LOOKED_AT,
    LOOKED_AT_FOR_SHAPES,
    STEP,
    Choice,
    Measured,
    fcos_levels,
    grouping,
    measure,
    panoptic,
    pose_crop,
    zoom,
)
from densepred.jobs.object_counts import most_objects
from densepred.nn import ceil_div
from densepred.output import many

PASSES, LEAST_STEPS, MOST_STEPS, VALIDATIONS = 40, 1000, 20_000, 40


class Built(NamedTuple):
    """The training split that a recipe has read, for the training to go on with."""

    node: parts.Node
    dataset: Dataset
    notices: list[str]  # what was told when it was built

    def told_again(self) -> Dataset:
        """Issue its notices, which the log of the run lists too; return the dataset."""
        for text in self.notices:
            warnings.warn(text, Notice, stacklevel=2)
        return self.dataset


def choose(config: DictConfig, choices: Mapping[str, str], typed: Sequence[str]) -> Built | None:
    """Set what depends on the training data in `config`; print a line for each value; return the data.

    Does nothing without a recipe. Values that are typed, or that the recipe's file sets, stay. What a typed option
    lacks is left out, with a line.

    Raises UserError if an experiment is chosen beside a recipe.
    """
    name = choices.get("recipe", "None")
    if name == "None":
        return None
    if choices.get("experiment", "None") != "None":
        raise UserError(
            f"recipe={name} and experiment={choices['experiment']}: both choose the dataset, the model and the length; "
            "choose one"
        )
    recipe_beside.settle(config, name, choices, typed)
    settings = compose.settings(config)
    built = _built(settings.dataset, settings.data.on_bad == "skip")
    keys = {word.lstrip("+~").partition("=")[0] for word in typed}
    for choice in _choices(config, choices["task"], keys, built.dataset):
        text = f"recipe={name}: {choice.key}={choice.value}".replace(", ", ",")
        parent, _, last = choice.key.rpartition(".")
        if last not in OmegaConf.select(config, parent):
            group = choice.key.partition(".")[0]
            say(f"{text} is left out: {group}={choices[group]} has no such setting")
            continue
        OmegaConf.update(config, choice.key, choice.value)
        say(f"{text}: {choice.reason}")
    return built


def _built(node: parts.Node, skip: bool) -> Built:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", Notice)
        dataset = parts.dataset(node, "train", skip)
    return Built(node, dataset, [str(one.message) for one in caught if issubclass(one.category, Notice)])


def _choices(config: DictConfig, task: str, typed: set[str], dataset: Dataset) -> list[Choice]:
    at_most = LOOKED_AT_FOR_SHAPES if task == "pose" else LOOKED_AT
    measured, accelerator = measure(dataset, config.data.on_bad == "skip", at_most), torch.accelerator.is_available()
    found = [choice for choice in _of_objects(config, task, measured, dataset) if choice.key not in typed]
    if config.data.crop is None and "data.crop" not in typed:
        found.append(pose_crop(measured, accelerator) if task == "pose" else crop(measured.sizes, accelerator, task))
    count, what = len(dataset), "images"
    if task == "pose":
        count, what = sum(len(dataset.labelled(index)) for index in range(count)), "labelled instances"
    if task == "panoptic" and "trainer.freeze" not in typed:
        found += _frozen(config, count, len(dataset.info.classes))
    return found + _lengths(config, typed, count, what)


def _of_objects(config: DictConfig, task: str, measured: Measured, dataset: Dataset) -> list[Choice]:
    """Return the settings of a task that depend on its objects; none for other tasks, and if no image has one.

    Sizes are those of the sample. For the most objects of an image more of them are read, as before each training.
    """
    chosen = {"instance_center": grouping, "panoptic": panoptic, "detection_fcos": fcos_levels}.get(task)
    if chosen is None:
        return []
    if not measured.objects:
        count = len(measured.sizes)
        say(f"recipe: no object in {many(count, 'measured image')}; settings of task={task} keep their defaults")
        return []
    measured.most = max(measured.most, most_objects(dataset)[0].whole)
    measured.zoom = zoom(config.transform.train)
    return chosen(measured, config.task.codec.max_detections)


def _frozen(config: DictConfig, images: int, classes: int) -> list[Choice]:
    """Keep a pretrained encoder as it is if there are fewer images than classes: it would learn these images.

    A learning rate for the encoder asks for its training.
    """
    pretrained = OmegaConf.select(config, "encoder.pretrained") or config.weights.encoder
    rated = any(part.split(".")[0] == "encoder" for part in OmegaConf.select(config, "optimizer.groups") or ())
    if not pretrained or images >= classes or config.trainer.freeze or rated:
        return []
    reason = f"{many(images, 'training image')} for {classes} classes; the encoder keeps its pretrained weights"
    return [Choice("trainer.freeze", ["encoder"], reason)]


def _lengths(config: DictConfig, typed: set[str], count: int, what: str) -> list[Choice]:
    """Return the batch and the length for `count` training samples."""
    found, size, trainer = list[Choice](), config.data.batch_size, config.trainer
    if "data.batch_size" not in typed and count < size:
        size = max(count, 1)
        found.append(Choice("data.batch_size", size, f"there are {count} training {what}"))
    whole, rest = config.data.drop_last, count % size
    if 0 < rest < size / 2 and count > size and not whole and "data.drop_last" not in typed:
        whole = True
        reason = f"the last batch would hold {rest} of {size}, so an epoch leaves {rest} out, others each time"
        found.append(Choice("data.drop_last", True, reason))
    if trainer.epochs is None and trainer.max_steps is None and "trainer.max_minutes" not in typed:
        epochs, steps = length(count, size, whole)
        reason = f"{count} training {what} in batches of {size}: {steps} steps"
        found.append(Choice("trainer.epochs", epochs, reason))
        if "trainer.valid_every" not in typed:
            every = max(1, epochs // VALIDATIONS)
            found.append(Choice("trainer.valid_every", every, "epochs from one validation to the next"))
    return found


def crop(found: Sequence[tuple[int, int]], accelerator: bool, task: str) -> Choice:
    """Return the crop: the shortest sides of the images in multiples of 32, within a largest side."""
    largest, where = (512, "an accelerator") if accelerator else (192 if task == "semantic" else 256, "a CPU")
    height, width = (min((size[axis] for size in found), default=largest) for axis in (0, 1))
    sides = [min(largest, max(STEP, side // STEP * STEP)) for side in (height, width)]
    reason = f"sides of {len(found)} training images are at least {height} and {width}; at most {largest} on {where}"
    return Choice("data.crop", sides, reason)


def length(samples: int, batch_size: int, whole: bool = False) -> tuple[int, int]:
    """Return the epochs and their steps: 40 epochs, or as many as make at least 1000 and at most 20000 steps.

    `whole` leaves a smaller last batch out.
    """
    batches = max(samples, 1) / batch_size
    steps = max(1, math.floor(batches) if whole else math.ceil(batches))
    epochs = max(1, min(max(PASSES, ceil_div(LEAST_STEPS, steps)), MOST_STEPS // steps))
    return epochs, epochs * steps
