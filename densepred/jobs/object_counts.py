"""Look, before training, for images with more objects than the limits of codec and metrics let through."""

from __future__ import annotations

import math

from densepred.contracts import Dataset
from densepred.engine import detection_limits
from densepred.errors import UserError
from densepred.task import Task

PIXELS = 50_000_000
"""Pixels of images that are read for it: one to three seconds."""

UNREADABLE = 100
"""Files that may fail before the search ends: each costs time, and of none is anything learnt."""


def warn_of_limits(data: Dataset, task: Task) -> None:
    """Issue a notice if an image of the training split, or of those that are read, exceeds a limit."""
    if detection_limits.limits(task) or "instances" in task.codec.required or hasattr(task.codec, "min_area"):
        detection_limits.tell(task, *most_objects(data))


def most_objects(data: Dataset) -> tuple[detection_limits.ObjectCounts, str, bool]:
    """Return the most objects of an image, the split in words, and whether all images were read.

    Many images are read in steps through the whole split; those that cannot be read are passed over.
    """
    most, step, unread, index = detection_limits.ObjectCounts(), 0, 0, 0
    while index < len(data):
        try:
            truth = data[index].truth
        except UserError:  # the loader reports unreadable files, and stops at many
            unread += 1
            if unread > UNREADABLE:
                break
        else:
            step = step or math.ceil(len(data) * math.prod(truth.size) / PIXELS) or 1
            most.add([truth])
        index += step or 1
    return most, "training", step <= 1 and not unread
