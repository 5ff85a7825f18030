"""Warps and colours of training images on the device, `data.transform_on_device`."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from densepred.contracts import Codec
from densepred.errors import UserError
from densepred.loader.samples import DeferringAugment, TrainingSamples
from densepred.settings import DataSettings
from densepred.transform.pipeline import Pipeline

KEY = "data.transform_on_device=true"


def deferring(augment: Pipeline, codec: Codec, settings: DataSettings) -> DeferringAugment | None:
    """Return the augmentation that leaves images to the device; None if none is left, or it is not wanted.

    Raises UserError for a codec that reads transformed images.
    """
    if not settings.transform_on_device:
        return None
    if "image" in codec.required or getattr(type(codec), "corrupt", Codec.corrupt) is not Codec.corrupt:
        raise UserError(
            "data.transform_on_device=true: this task makes its targets or inputs of transformed images, which loader "
            "workers need; remove it"
        )
    return augment.defer if augment.deferrable() else None


def describe(samples: TrainingSamples) -> Iterator[str]:
    """Yield one line: which transforms the device computes, and which the workers."""
    augment = samples.augment
    if samples.defer is None or not isinstance(augment, Pipeline):
        return
    last = augment.deferrable()
    before = augment.transforms[: len(augment.transforms) - len(last)]
    rest = f"{_names(before)}, " if before else ""
    yield (
        f"{KEY}: of training images the device computes {_names(last)}; loader workers compute {rest}shifts by whole "
        "pixels, resizes of whole images, and all of labels"
    )


def without_effect(settings: DataSettings, samples: TrainingSamples, device: torch.device) -> Iterator[str]:
    """Yield a sentence where the setting cannot act, or where it costs time."""
    if not settings.transform_on_device:
        return
    if samples.defer is None:
        last = _names(samples.augment.transforms[-1:]) if isinstance(samples.augment, Pipeline) else ""
        fact = f"transform.train ends with {last}" if last else "transform.train is empty"
        yield (
            f"{KEY}: has no effect: {fact}, and the device computes warps and maps of colours at its end alone, such "
            "as Crop, Flip and Colour; remove it, or choose another transform"
        )
    elif device.type == "cpu":
        yield (f"{KEY}: without an accelerator the training process computes what its loader workers could; remove it")


def _names(transforms: list) -> str:
    names = [getattr(transform, "__name__", type(transform).__name__) for transform in transforms]
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
