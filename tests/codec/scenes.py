"""Drawn scenes for the tests of instances by centers, and how a prediction compares with one."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from densepred.codec.panoptic import Panoptic
from densepred.loader.samples import stack_targets
from densepred.types import VOID, Annotation, Frame, Info
from tests.reference import slow_panoptic_deeplab as slow

INFO = Info(classes=("sky", "grass", "cow", "bird"), things=(2, 3), provides=("semantic", "instances", "categories"))


def there_and_back(codec: Panoptic, *truths: Annotation, frame: Frame | None = None) -> list[Annotation]:
    encoded = [codec.encode(truth) for truth in truths]
    outputs = codec.perfect_outputs(stack_targets(encoded))
    return codec.decode(outputs, [frame or Frame("x", truth.size) for truth in truths], align_corners=False)


def target_maps(codec: Panoptic, truth: Annotation) -> dict[str, Tensor]:
    """Encode an annotation and return the maps that its losses get, without a batch dimension."""
    return {name: value[0] for name, value in codec.expand(stack_targets([codec.encode(truth)])).items()}


def segments(found: Annotation, info: Info) -> dict:
    """Name to class, mask and whether it is a crowd."""
    assert found.semantic is not None
    assert found.instances is not None
    assert found.categories is not None
    ids, labels = found.instances.numpy(), found.semantic.numpy()
    crowd = [False] * len(found.categories) if found.crowd is None else found.crowd.tolist()
    parts = {f"thing {i}": (int(c), ids == i + 1, crowd[i]) for i, c in enumerate(found.categories)}
    for label in np.unique(labels[ids == 0]).tolist():
        if label != VOID and label not in info.things:
            parts[f"stuff {label}"] = label, (labels == label) & (ids == 0), False
    return parts


def quality(found: Annotation, truth: Annotation, info: Info) -> float | None:
    return slow.panoptic_quality(segments(found, info), segments(truth, info))


def lost(found: Annotation, truth: Annotation) -> int:
    """Count labelled instances without a prediction of equal pixels and class."""
    assert found.instances is not None
    assert found.categories is not None
    assert truth.instances is not None
    assert truth.categories is not None
    missing = 0
    for i, category in enumerate(truth.categories.tolist()):
        mask = truth.instances == i + 1
        ids = found.instances[mask].unique().tolist()
        same = len(ids) == 1 and ids[0] > 0 and torch.equal(found.instances == ids[0], mask)
        missing += not (same and found.categories[ids[0] - 1] == category)
    return missing


def clashes(truth: Annotation, reach: int = 3) -> int:
    """Count instances with a center in the window of another center: the heat map holds one peak for both."""
    assert truth.instances is not None
    assert truth.categories is not None
    ids = truth.instances.numpy()
    means = [np.argwhere(ids == i + 1).mean(0) for i in range(len(truth.categories))]
    cells = np.floor(np.array(means).reshape(-1, 2) + 0.5)
    apart = np.abs(cells[:, None] - cells).max(-1) + 99 * np.eye(len(cells))
    return int((apart.min(1, initial=99) <= reach).sum())


def scene(size: tuple[int, int], *regions: tuple[slice, slice, int], info: Info = INFO) -> Annotation:
    """Grass with rectangles of things, each (rows, columns, class)."""
    labels = torch.full(size, 1, dtype=torch.uint8)
    ids = torch.zeros(size, dtype=torch.int32)
    for number, (rows, columns, category) in enumerate(regions, 1):
        labels[rows, columns], ids[rows, columns] = category, number
    categories = torch.tensor([category for *_, category in regions], dtype=torch.int64)
    return Annotation(size, semantic=labels, instances=ids, categories=categories)


COWS = scene(
    (60, 80),
    (slice(5, 25), slice(4, 30), 2),
    (slice(5, 25), slice(30, 50), 2),
    (slice(40, 41), slice(60, 61), 3),
    (slice(45, 60), slice(20, 40), 2),
)
