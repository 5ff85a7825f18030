"""Semantic segmentation: one class per pixel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from densepred.codec import unused
from densepred.codec.class_map import ClassMap
from densepred.codec.framing import check_whole
from densepred.contracts import Codec
from densepred.ops.resize import resample
from densepred.types import Annotation, Frame, Info


class Semantic(Codec):
    """Head `semantic`: the logits of a softmax; with `sigmoid`, one logit of the second of two classes.

    border: settings of `BorderWeights`, which become the weight of the head.
    distance: add signed distance maps to the targets, as some losses need them.
    """

    required = ("semantic",)
    predicts = ("semantic",)
    pixelwise = True

    def __init__(
        self, info: Info, sigmoid: bool = False, border: Mapping[str, Any] | None = None, distance: bool = False
    ) -> None:
        self.map = ClassMap(info, sigmoid, border, distance, "segmentation needs two or more")
        self.heads = {"semantic": self.map.spec}

    def unused(self, settings: Mapping[str, Any]) -> dict[str, str]:
        return unused.targets("border", "distance")

    def encode(self, truth: Annotation) -> dict[str, Tensor]:
        return self.map.targets(truth)

    def with_distance_maps(self, head: str) -> None:
        self.map.distance = True

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
        return {"semantic": self.map.perfect_logits(targets["semantic"])}
