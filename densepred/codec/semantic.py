"""A class for every pixel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from densepred.codec.border import BorderWeights
from densepred.codec.framing import check_whole
from densepred.contracts import Codec
from densepred.ops.regions.distance_maps import signed_distances
from densepred.ops.resize import resample
from densepred.types import VOID, Annotation, Frame, HeadSpec, Info, UserError

SURE = 20.0  # a logit whose softmax is one to float32's precision


class Semantic(Codec):
    """Class map to the logits of a softmax; with `sigmoid`, to the one logit of the second of two classes.

    `border` holds the settings of `BorderWeights`: its map becomes the weight of the head.
    """

    required = ("semantic",)

    def __init__(
        self, info: Info, sigmoid: bool = False, border: Mapping[str, Any] | None = None, distance: bool = False
    ) -> None:
        self.distance = distance
        self.classes = len(info.classes)
        if self.classes < 2:
            raise UserError(
                f"the dataset has {self.classes} classes; segmentation needs two or more: name them in dataset.classes"
            )
        if sigmoid and self.classes != 2:
            raise UserError(
                f"task.codec.sigmoid=true is for background and one class; the dataset has {self.classes} classes: "
                "set task.codec.sigmoid=false"
            )
        self.heads = {"semantic": HeadSpec(1 if sigmoid else self.classes, kind="classes")}
        self.border = None if border is None else BorderWeights(info, border)

    def encode(self, truth: Annotation) -> dict[str, Tensor]:
        labels = truth.need("semantic")
        targets = {"semantic": labels}
        if self.border is not None:
            targets["semantic_weight"] = self.border(truth)
        if self.distance:
            targets["semantic_distance"] = signed_distances(labels, self.classes)
        return targets

    def with_distance_maps(self, head: str) -> None:
        self.distance = True

    def decode(
        self, outputs: Mapping[str, Tensor], frames: Sequence[Frame], align_corners: bool, probabilities: bool = False
    ) -> list[Annotation]:
        found = []
        for logits, frame in zip(outputs["semantic"].split(1), frames, strict=True):
            check_whole(frame)
            labels = resample.argmax(logits, frame.size, align_corners)[0]
            found.append(Annotation(frame.size, semantic=labels))
            if probabilities:
                full = resample.resize(resample.two_channels(logits), frame.size, align_corners)
                found[-1].probabilities = full.softmax(1)[0]
        return found

    def perfect_outputs(self, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        labels = targets["semantic"].long()
        labels = labels.masked_fill(labels == VOID, 0)
        logits = F.one_hot(labels, self.classes).movedim(-1, 1).float() * SURE
        if self.heads["semantic"].channels == 1:
            logits = logits[:, 1:] - logits[:, :1]
        return {"semantic": logits}
