"""Settings of `recipe=...` that depend on the data: the crop, the batch and the length of a training."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from omegaconf import DictConfig

from densepred.cli import compose
from densepred.cli.note import say
from densepred.contracts import Dataset
from densepred.errors import Notice, UserError
from densepred.jobs import parts

LOOKED_AT = 16
"""Largest number of images to measure."""
STEP = 32
"""Sides of crops are multiples of the stride of the encoder's deepest level."""
PASSES, LEAST_STEPS, MOST_STEPS, VALIDATIONS = 40, 1000, 20_000, 40


class Choice(NamedTuple):
    """A key, the value that is chosen for it, and the reason."""

    key: str
    value: int | list[int]
    reason: str


def choose(config: DictConfig, choices: Mapping[str, str], typed: Sequence[str]) -> None:
    """Set the crop, the batch and the length in `config` from the training images; print a line for each.

    Does nothing without a recipe. Values that are typed, or that the recipe's file sets, stay.

    Raises UserError if an experiment is chosen beside a recipe.
    """
    name = choices.get("recipe", "None")
    if name == "None":
        return
    if choices.get("experiment", "None") != "None":
        raise UserError(
            f"recipe={name} and experiment={choices['experiment']}: both choose the dataset, the model and the length; "
            "choose one"
        )
    with warnings.catch_warnings():  # the training reads the same dataset, and gives its notices then
        warnings.simplefilter("ignore", Notice)
        dataset = parts.dataset(compose.settings(config).dataset, "train")
    keys = {word.lstrip("+~").partition("=")[0] for word in typed}
    for choice in _choices(config, keys, dataset):
        group, _, key = choice.key.partition(".")
        config[group][key] = choice.value
        say(f"recipe={name}: {choice.key}={choice.value}".replace(", ", ",") + f": {choice.reason}")


def _choices(config: DictConfig, typed: set[str], dataset: Dataset) -> list[Choice]:
    images, found = len(dataset), list[Choice]()
    if config.data.crop is None and "data.crop" not in typed:
        found.append(crop(sizes(dataset), torch.accelerator.is_available()))
    size = config.data.batch_size
    if "data.batch_size" not in typed and images < size:
        size = max(images, 1)
        found.append(Choice("data.batch_size", size, f"there are {images} training images"))
    trainer = config.trainer
    if trainer.epochs is None and trainer.max_steps is None and "trainer.max_minutes" not in typed:
        epochs, steps = length(images, size)
        reason = f"{images} training images in batches of {size}: {steps} steps"
        found.append(Choice("trainer.epochs", epochs, reason))
        if "trainer.valid_every" not in typed:
            every = max(1, epochs // VALIDATIONS)
            found.append(Choice("trainer.valid_every", every, "epochs from one validation to the next"))
    return found


def sizes(dataset: Dataset) -> list[tuple[int, int]]:
    """Return (height, width) of up to 16 images, spread evenly over the dataset."""
    count = min(len(dataset), LOOKED_AT)
    shapes = [dataset[i * len(dataset) // count].image.shape for i in range(count)]
    return [(int(shape[-2]), int(shape[-1])) for shape in shapes]


def crop(found: Sequence[tuple[int, int]], accelerator: bool) -> Choice:
    """Return the crop: the shortest sides of the images in multiples of 32, at most 256 on a CPU, else 512."""
    largest, where = (512, "an accelerator") if accelerator else (256, "a CPU")
    height, width = (min((size[axis] for size in found), default=largest) for axis in (0, 1))
    sides = [min(largest, max(STEP, side // STEP * STEP)) for side in (height, width)]
    reason = f"sides of {len(found)} training images are at least {height} and {width}; at most {largest} on {where}"
    return Choice("data.crop", sides, reason)


def length(images: int, batch_size: int) -> tuple[int, int]:
    """Return the epochs and their steps: 40 epochs, or as many as make at least 1000 and at most 20000 steps."""
    steps = math.ceil(max(images, 1) / batch_size)
    epochs = max(1, min(max(PASSES, math.ceil(LEAST_STEPS / steps)), MOST_STEPS // steps))
    return epochs, epochs * steps
