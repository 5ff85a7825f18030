"""Which classes a detector looks for, and the boxes of an annotation that it learns from."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from densepred.types import Annotation, Info, UserError


class Found(NamedTuple):
    """What an annotation says to a detector."""

    boxes: Tensor  # (N, 4) of single objects
    channels: Tensor  # (N,) int64, the channel of each one's class
    crowds: Tensor  # (M, 4) boxes of groups, in which nobody can say what is an object


class Things:
    """The classes that come in instances, a channel each; where the dataset names none, all of its classes."""

    def __init__(self, info: Info) -> None:
        self.classes = tuple(info.things) or tuple(range(len(info.classes)))
        if not self.classes:
            raise UserError("the dataset names no classes to detect; choose another task or dataset")
        self.names = tuple(info.classes[i] for i in self.classes)
        self.channels = torch.full((max(self.classes) + 1,), -1)
        self.channels[list(self.classes)] = torch.arange(len(self.classes))

    def of(self, truth: Annotation) -> Found:
        """Boxes without an area and those of other classes are left out."""
        boxes = truth.need("boxes").float()
        categories = truth.need("categories").long().clamp(-1, len(self.channels))
        table = torch.cat([self.channels, self.channels.new_full((2,), -1)]).to(categories.device)  # for others
        channels = table[categories]
        crowd = torch.zeros_like(channels, dtype=torch.bool) if truth.crowd is None else truth.crowd
        wanted = (channels >= 0) & (boxes[:, 2:] > boxes[:, :2]).all(1)
        return Found(boxes[wanted & ~crowd], channels[wanted & ~crowd], boxes[wanted & crowd])

    def categories(self, channels: Tensor) -> Tensor:
        """Channels (N,) of a head to classes of the dataset."""
        return torch.tensor(self.classes, dtype=torch.int64, device=channels.device)[channels]
