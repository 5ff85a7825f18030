"""Class weights from the frequency of the classes in the training set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from densepred.contracts import Dataset
from densepred.errors import MachineError, UserError
from densepred.types import VOID

MEDIAN_FREQUENCY = "median_frequency"
Node = dict[str, Any]


def resolve_class_weights(task_node: Node, train: Dataset, skip_bad: bool = False) -> tuple[Node, list[float] | None]:
    """Replace `class_weights: median_frequency` in a node by numbers from the training set; return them too.

    skip_bad: leave out images that cannot be read
    """
    if not _wanted(task_node):
        return task_node, None
    weights = [rounded(w) for w in median_frequency(*class_counts(train, skip_bad)).tolist()]
    return _replaced(task_node, weights), weights


def rounded(weight: float) -> float:
    """Return a weight with six decimals, a small one with six digits: beside rare classes it may be 1e-7."""
    return round(weight, 6) if weight >= 0.1 else float(f"{weight:.6g}")


def class_counts(data: Dataset, skip_bad: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    """Count the pixels of each class in each image, (N, K) int64, and of each image, void included, (N,) int64.

    skip_bad: count none in images that cannot be read, instead of raising their error
    """
    classes = len(data.info.classes)
    counts, pixels = torch.zeros(len(data), classes, dtype=torch.int64), torch.zeros(len(data), dtype=torch.int64)
    for i in range(len(data)):
        try:
            labels = data[i].truth.semantic
        except UserError as error:
            if not skip_bad or isinstance(error, MachineError):
                raise
            continue
        if labels is None:
            raise UserError(
                "loss.class_weights: median_frequency needs class maps, and this dataset has none; give a list"
            )
        counts[i] = torch.bincount(labels[labels != VOID], minlength=classes)
        pixels[i] = labels.numel()
    return counts, pixels


def median_frequency(counts: Tensor, pixels: Tensor | None = None) -> Tensor:
    """Median frequency balancing: median(freq) / freq, (K,) float64. https://arxiv.org/abs/1411.4734

    counts: (N, K), pixels of each class in each image
    pixels: (N,), pixels of each image; by default those with a class

    freq is the number of pixels of a class over the pixels of the images that contain it. A class that never occurs
    has weight 0.
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
