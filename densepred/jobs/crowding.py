"""Look, before training, for images with more objects than the limits of codec and metrics let through."""

from __future__ import annotations

import math

from densepred.contracts import Dataset
from densepred.engine import caps
from densepred.errors import UserError
from densepred.task import Task

PIXELS = 50_000_000
"""Pixels of images that are read for it: one to three seconds."""


def warn_of_caps(data: Dataset, task: Task) -> None:
    """Issue a notice if an image of the training split, or of those that are read, exceeds a limit."""
    if caps.limits(task) or "instances" in task.codec.required or hasattr(task.codec, "min_area"):
        caps.tell(task, *largest(data))


def largest(data: Dataset) -> tuple[caps.Crowding, str, bool]:
    """Return the most objects of an image, the split in words, and whether all images were read.

    Many images are read in steps through the whole split.
    """
    most = caps.Crowding()
    try:
        height, width = data[0].truth.size if len(data) else (1, 1)
        step = math.ceil(len(data) * height * width / PIXELS) or 1
        for index in range(0, len(data), step):
            most.add([data[index].truth])
    except UserError:  # the loader reports unreadable files
        return most, "training", False
    return most, "training", step == 1
