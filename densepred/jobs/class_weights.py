"""Class weights from how often classes occur in the training set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from densepred.contracts import Dataset
from densepred.errors import UserError
from densepred.types import VOID

MEDIAN_FREQUENCY = "median_frequency"
Node = dict[str, Any]


def resolve_class_weights(task_node: Node, train: Dataset) -> tuple[Node, list[float] | None]:
    """The same node with `class_weights: median_frequency` as numbers, computed once from the training set."""
    if not _wanted(task_node):
        return task_node, None
    weights = [round(w, 6) for w in median_frequency(*class_counts(train)).tolist()]
    return _replaced(task_node, weights), weights


def class_counts(data: Dataset) -> tuple[torch.Tensor, torch.Tensor]:
    """Pixels of each class in each image of a dataset, (N, K), and of each image, void and all, (N,); int64."""
    classes = len(data.info.classes)
    counts, pixels = torch.zeros(len(data), classes, dtype=torch.int64), torch.zeros(len(data), dtype=torch.int64)
    for i in range(len(data)):
        labels = data[i].truth.semantic
        if labels is None:
            raise UserError("loss.class_weights: median_frequency needs class maps; this dataset has none, give a list")
        counts[i] = torch.bincount(labels[labels != VOID], minlength=classes)
        pixels[i] = labels.numel()
    return counts, pixels


def median_frequency(counts: Tensor, pixels: Tensor | None = None) -> Tensor:
    """Median frequency balancing, https://arxiv.org/abs/1411.4734: median(freq) / freq, (K,) float64.

    counts (N, K): pixels of each class in each of N images; pixels (N,): all pixels of each image, by default those
    with a class. freq is the pixels of a class over the pixels of the images that hold it. A class that never occurs
    has no frequency and weighs 0.
    """
    counts = counts.double()
    pixels = counts.sum(1) if pixels is None else pixels.double()
    present = counts > 0
    seen = present.any(0)
    if not seen.any():
        return torch.zeros(counts.shape[1], dtype=torch.float64)
    frequency = counts.sum(0)[seen] / (present[:, seen] * pixels[:, None]).sum(0)
    weights = torch.zeros(counts.shape[1], dtype=torch.float64)
    weights[seen] = frequency.quantile(0.5) / frequency
    return weights


def _wanted(node: Any) -> bool:
    if isinstance(node, Mapping):
        return node.get("class_weights") == MEDIAN_FREQUENCY or any(map(_wanted, node.values()))
    return isinstance(node, list) and any(map(_wanted, node))


def _replaced(node: Any, weights: list[float]) -> Any:
    if isinstance(node, Mapping):
        return {
            key: weights if (key, value) == ("class_weights", MEDIAN_FREQUENCY) else _replaced(value, weights)
            for key, value in node.items()
        }
    return [_replaced(value, weights) for value in node] if isinstance(node, list) else node
