"""The classes that a detector predicts, and the boxes of an annotation that it is trained on."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from densepred.ops.boxes.assign import covered, marked
from densepred.types import Annotation, Info, UserError


class TrainingBoxes(NamedTuple):
    """The training boxes of one annotation."""

    boxes: Tensor  # (N, 4) of single objects
    channels: Tensor  # (N,) int64, the channel of each one's class
    crowds: Tensor  # (M, 4) boxes of groups, in which single objects are not labelled
    ignore: Tensor | None  # (H, W) bool, pixels that are not labelled

    def unlabelled(self, points: Tensor) -> Tensor:
        """Mark the points (L, 2) in crowds, and those on ignored pixels outside all boxes: (L,) bool."""
        inside = covered(points, self.crowds)
        if self.ignore is None:
            return inside
        return inside | (marked(points, self.ignore) & ~covered(points, self.boxes))


class Things:
    """The classes that come in instances, one channel per class; all classes if the dataset names no things."""

    def __init__(self, info: Info) -> None:
        self.classes = tuple(info.things) or tuple(range(len(info.classes)))
        if not self.classes:
            raise UserError("task.codec: the dataset names no classes to detect; choose another task or dataset")
        self.names = tuple(info.classes[i] for i in self.classes)
        self.channels = torch.full((max(self.classes) + 1,), -1)
        self.channels[list(self.classes)] = torch.arange(len(self.classes))

    def training_boxes(self, truth: Annotation) -> TrainingBoxes:
        """Return the boxes to train on, without those of no area or of other classes."""
        boxes = truth.need("boxes").float()
        categories = truth.need("categories").long().clamp(-1, len(self.channels))
        table = torch.cat([self.channels, self.channels.new_full((2,), -1)]).to(categories.device)  # 2 for others
        channels = table[categories]
        crowd = torch.zeros_like(channels, dtype=torch.bool) if truth.crowd is None else truth.crowd
        wanted = (channels >= 0) & (boxes[:, 2:] > boxes[:, :2]).all(1)
        single = wanted & ~crowd
        return TrainingBoxes(boxes[single], channels[single], boxes[wanted & crowd], truth.ignore)

    def categories(self, channels: Tensor) -> Tensor:
        """Return the dataset's classes, (N,) int64, of channels (N,) of a head."""
        return torch.tensor(self.classes, dtype=torch.int64, device=channels.device)[channels]
