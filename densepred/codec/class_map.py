"""The head `semantic`, which holds a class map: its settings, targets and perfect logits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from densepred.codec.border import BorderWeights
from densepred.ops.regions.distance_maps import signed_distances
from densepred.types import VOID, Annotation, HeadSpec, Info, UserError

SURE = 20.0  # the softmax or sigmoid of this logit is one to float32's precision


class ClassMap:
    """Logits of a softmax over all classes; with `sigmoid`, the one logit of the second of two classes.

    border: settings of `BorderWeights`, which become the weight of the head.
    distance: add signed distance maps to the targets.
    remedy: the end of the sentence that refuses a dataset of fewer than two classes.
    """

    def __init__(
        self, info: Info, sigmoid: bool, border: Mapping[str, Any] | None, distance: bool, remedy: str
    ) -> None:
        self.classes = len(info.classes)
        if self.classes < 2 and info.keypoints:
            raise UserError("the dataset has keypoints and no class map; type task=pose or task=openpose")
        if self.classes < 2:
            count = "one class" if self.classes else "no class"
            raise UserError(f"the dataset has {count}; {remedy}: name them in dataset.classes")
        if sigmoid and self.classes != 2:
            raise UserError(
                f"task.codec.sigmoid=true is for background and one class; the dataset has {self.classes} classes: "
                "set task.codec.sigmoid=false"
            )
        self.spec = HeadSpec(1, kind="classes", names=info.classes[1:]) if sigmoid else _softmax(info)
        self.border = None if border is None else BorderWeights(info, border)
        self.distance = distance

    def targets(self, truth: Annotation) -> dict[str, Tensor]:
        """Return the targets of the head from the ground truth of one image."""
        labels = truth.need("semantic")
        targets = {"semantic": labels}
        if self.border is not None:
            targets["semantic_weight"] = self.border(truth)
        if self.distance:
            targets["semantic_distance"] = signed_distances(labels, self.classes)
        return targets

    def perfect_logits(self, labels: Tensor) -> Tensor:
        """Return logits (B, C, H, W) that predict a batch of class maps (B, H, W); void counts as the first class."""
        logits = sure_logits(labels.masked_fill(labels == VOID, 0), self.classes)
        return logits[:, 1:] - logits[:, :1] if self.spec.channels == 1 else logits


def _softmax(info: Info) -> HeadSpec:
    return HeadSpec(len(info.classes), kind="classes", names=info.classes)


def sure_logits(labels: Tensor, classes: int) -> Tensor:
    """Return logits (B, classes, H, W) float32 with a softmax of one at the class of each pixel; no label is void.

    labels: (B, H, W).
    """
    return F.one_hot(labels.long(), classes).movedim(-1, 1).float() * SURE
