"""What an annotation says of its instances, and what stands in where it does not."""

from __future__ import annotations

import torch
from torch import Tensor

from densepred.types import Annotation, Info, UserError


def provided(metric: str, info: Info, *fields: str) -> None:
    """Raise UserError, before anything runs, where the dataset labels none of the fields."""
    if not set(fields) & set(info.provides):
        raise UserError(f"metric={metric} judges {fields[0]}, which this dataset does not label; choose another metric")


def require(metric: str, prediction: Annotation, truth: Annotation, *fields: str) -> None:
    """Raise UserError where the task does not predict, or the dataset does not label, one field of these at least."""
    for found, missing in ((prediction, "this task does not predict"), (truth, "this dataset does not label")):
        if all(getattr(found, field) is None for field in fields):
            raise UserError(f"metric={metric} judges {fields[0]}, which {missing}; choose another metric")


def categories(found: Annotation, info: Info) -> Tensor:
    """The class of each instance, (N,) int64; where nothing says it, the first that comes in instances."""
    if found.categories is not None:
        return found.categories
    return torch.full((count(found),), info.things[0] if info.things else 0)


def count(found: Annotation) -> int:
    """How many instances there are, by whichever field lists them."""
    for field in (found.categories, found.scores, found.boxes, found.keypoints, found.masks):
        if field is not None:
            return len(field)
    return int(found.instances.max()) if found.instances is not None and found.instances.numel() else 0
