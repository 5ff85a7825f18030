"""The mean of what a model says of images and of their mirror images, on the heads' own grids."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from densepred.ops.resize import resample
from densepred.task import Task
from densepred.types import HeadSpec

Heads = dict[str, Tensor]
Answer = Callable[[Tensor], Heads]
"""Images (B, C, H, W) to what each head says, (B, C, h, w) or (B, C, cells), in float32."""


def with_mirror(answer: Answer, task: Task, x: Tensor, align_corners: bool) -> Heads:
    """Classes are averaged as probabilities; heads of stride s answer with ceil(size / s) cells.

    The image is first continued by its last pixels to whole cells, for mirrored cells would lie between others.
    """
    heads, codec = task.heads, task.codec
    whole = math.lcm(*(stride for spec in heads.values() for stride in spec.strides))
    height, width = (int(side) for side in x.shape[-2:])
    x = F.pad(x, (0, -width % whole, 0, -height % whole), mode="replicate")
    plain, mirror = (_levels(answer(view), heads, x, align_corners) for view in (x, x.flip(-1)))
    mirror = [codec.unflip(level) for level in mirror]
    out: Heads = {}
    for name, spec in heads.items():
        parts = []
        for stride, one, other in zip(spec.strides, plain, mirror, strict=False):
            cells = (..., slice(-(-height // stride)), slice(-(-width // stride)))
            parts.append(((one[name] + other[name]) / 2)[cells])
        mean = parts[0] if len(parts) == 1 else torch.cat([part.flatten(2) for part in parts], 2)
        out[name] = logits(spec, mean)
    return out


def probabilities(spec: HeadSpec, value: Tensor) -> Tensor:
    """What can be averaged: of a head of classes the softmax, two channels where it has one; other numbers as such."""
    return resample.two_channels(value).softmax(1) if spec.kind == "classes" else value


def logits(spec: HeadSpec, value: Tensor) -> Tensor:
    """The inverse of `probabilities`."""
    if spec.kind != "classes":
        return value
    value = value.clamp(min=torch.finfo(value.dtype).tiny).log()
    return value[:, 1:] - value[:, :1] if spec.channels == 1 else value


def _levels(found: Heads, heads: dict[str, HeadSpec], x: Tensor, align_corners: bool) -> list[Heads]:
    """Probabilities, or values, of each level, (B, C, h, w), of images whose sides are whole cells."""
    levels: list[Heads] = [{} for _ in range(max(len(spec.strides) for spec in heads.values()))]
    for name, spec in heads.items():
        grids = [(int(x.shape[-2]) // stride, int(x.shape[-1]) // stride) for stride in spec.strides]
        parts = [found[name]]
        if len(grids) > 1:
            split = found[name].split([h * w for h, w in grids], -1)
            parts = [part.unflatten(-1, grid) for part, grid in zip(split, grids, strict=True)]
        for level, part, grid in zip(levels, parts, grids, strict=False):
            level[name] = probabilities(spec, resample.resize(part, grid, align_corners))
    return levels
