"""Find out, before anything runs, if the ground truth of a dataset holds anything that a task can learn from."""

from __future__ import annotations

import warnings

from densepred.contracts import Codec, Dataset
from densepred.errors import Notice, UserError
from densepred.types import VOID, Annotation, Info

NAMES = {
    "keypoints": "a labelled keypoint",
    "boxes": "a box",
    "instances": "an instance",
    "semantic": "a pixel of a class other than background",
}
"""The fields of an annotation that can be empty, in words. Others follow from these."""

BACKGROUND = ("background", "bg")


def missing(data: Dataset, codec: Codec) -> str | None:
    """Return what no sample of the dataset holds, though the codec reads it; None if it reads no such field.

    Samples are read up to the first that holds something, which usually is the first one.
    """
    fields = [name for name in NAMES if name in codec.required]
    fields = fields[:1] if "keypoints" in fields else fields  # boxes alone teach no pose
    if not fields or not len(data):
        return None
    unread = 0
    for index in range(len(data)):
        try:
            truth = data[index].truth
        except UserError:  # the loader reports unreadable files, or leaves them out
            unread += 1
            continue
        if any(holds(truth, name, data.info) for name in fields):
            return None
    if unread == len(data):
        return None
    return f"none of its {len(data) - unread} samples holds {' or '.join(NAMES[name] for name in fields)}"


def require_content(data: Dataset, codec: Codec) -> None:
    """Raise UserError if nothing is left to learn from."""
    if reason := missing(data, codec):
        raise UserError(
            f"dataset: {reason}, so nothing is left to learn from; check the annotations and the warnings above"
        )


def warn_of_missing(data: Dataset, codec: Codec, split: str) -> None:
    """Issue a notice if nothing is left to evaluate."""
    if reason := missing(data, codec):
        warnings.warn(f"the {split} split of the dataset: {reason}; scores are undefined or 0", Notice, stacklevel=2)


def holds(truth: Annotation, field: str, info: Info) -> bool:
    """Return True if a field holds an object outside of crowds, or a pixel of a class other than background."""
    value = getattr(truth, field)
    if value is None:
        return False
    if field == "instances":
        return bool((value > 0).any())
    if field == "semantic":
        background = 0 if len(info.classes) > 1 and info.classes[0].lower() in BACKGROUND else VOID
        return bool(((value != VOID) & (value != background)).any())
    rows = value if truth.crowd is None else value[~truth.crowd]
    found = rows[..., 2] > 0 if field == "keypoints" else (rows[:, 2:] > rows[:, :2]).all(1)
    return bool(found.any())
