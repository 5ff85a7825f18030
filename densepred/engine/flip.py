"""Test-time augmentation by the mirror image: means of outputs on the heads' own grids."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from densepred.nn import ceil_div
from densepred.ops.resize import resample
from densepred.task import Task
from densepred.types import HeadSpec

HeadOutputs = dict[str, Tensor]
Predict = Callable[[Tensor], HeadOutputs]
"""Images (B, C, H, W) to the output of each head, (B, C, h, w) or (B, C, locations), float32."""


def with_mirror(predict: Predict, task: Task, x: Tensor, align_corners: bool) -> HeadOutputs:
    """Average the outputs for `x` (B, C, H, W) and its mirror image; classes are averaged as probabilities.

    A head of stride s has ceil(size / s) locations. The image is first padded with its last pixels to whole strides:
    otherwise mirrored locations would lie between the others.
    """
    heads, codec = task.heads, task.codec
    whole = math.lcm(*(stride for spec in heads.values() for stride in spec.strides))
    height, width = (int(side) for side in x.shape[-2:])
    x = F.pad(x, (0, -width % whole, 0, -height % whole), mode="replicate")
    plain, mirror = (_levels(predict(view), heads, x, align_corners) for view in (x, x.flip(-1)))
    mirror = [codec.unflip(level) for level in mirror]
    out: HeadOutputs = {}
    for name, spec in heads.items():
        parts = []
        for stride, one, other in zip(spec.strides, plain, mirror, strict=False):
            inside = (..., slice(ceil_div(height, stride)), slice(ceil_div(width, stride)))
            parts.append(((one[name] + other[name]) / 2)[inside])
        mean = parts[0] if len(parts) == 1 else torch.cat([part.flatten(2) for part in parts], 2)
        out[name] = logits(spec, mean)
    return out


def probabilities(spec: HeadSpec, value: Tensor) -> Tensor:
    """Return values that can be averaged: softmax for classes (two channels for one logit), others unchanged."""
    return resample.two_channels(value).softmax(1) if spec.kind == "classes" else value


def logits(spec: HeadSpec, value: Tensor) -> Tensor:
    """Invert `probabilities`."""
    if spec.kind != "classes":
        return value
    value = value.clamp(min=torch.finfo(value.dtype).tiny).log()
    return value[:, 1:] - value[:, :1] if spec.channels == 1 else value


def _levels(found: HeadOutputs, heads: dict[str, HeadSpec], x: Tensor, align_corners: bool) -> list[HeadOutputs]:
    """Return probabilities or values per level, (B, C, h, w); the sides of `x` are multiples of every stride."""
    levels: list[HeadOutputs] = [{} for _ in range(max(len(spec.strides) for spec in heads.values()))]
    for name, spec in heads.items():
        grids = [(int(x.shape[-2]) // stride, int(x.shape[-1]) // stride) for stride in spec.strides]
        parts = [found[name]]
        if len(grids) > 1:
            split = found[name].split([h * w for h, w in grids], -1)
            parts = [part.unflatten(-1, grid) for part, grid in zip(split, grids, strict=True)]
        for level, part, grid in zip(levels, parts, grids, strict=False):
            level[name] = probabilities(spec, resample.resize(part, grid, align_corners))
    return levels
