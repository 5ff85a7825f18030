"""Test-time augmentation by sizes of the image: means of outputs on the heads' own grids."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from densepred.engine.flip import HeadOutputs, Predict, logits, probabilities
from densepred.nn import ceil_div
from densepred.ops.resize import resample
from densepred.task import Task


def over_scales(predict: Predict, task: Task, x: Tensor, scales: Sequence[float], align_corners: bool) -> HeadOutputs:
    """Average the outputs for `x` (B, C, H, W) at several sizes, on the grids of `x`; each head has one stride.

    The testing code of OpenPose (arXiv 1611.08050) averages heat maps and part affinity fields so (`scale_search`).
    Sizes are multiples of all strides, and the image is padded to such a size with its last pixels. So the grids of all
    sizes span the same area.
    """
    strides = {name: spec.strides[0] for name, spec in task.heads.items()}
    whole = math.lcm(*strides.values())
    height, width = (int(side) for side in x.shape[-2:])
    padded = F.pad(x, (0, -width % whole, 0, -height % whole), mode="replicate")
    total: HeadOutputs = {}
    for scale in scales:
        view = _resized(padded, scale, whole)
        seen = {}
        for name, value in predict(view).items():
            own = int(view.shape[-2]) // strides[name], int(view.shape[-1]) // strides[name]
            seen[name] = probabilities(task.heads[name], resample.resize(value, own, align_corners))
        for name, value in task.codec.unscale(seen, scale).items():
            grid = int(padded.shape[-2]) // strides[name], int(padded.shape[-1]) // strides[name]
            total[name] = total.get(name, 0) + resample.resize(value, grid, align_corners) / len(scales)
    for name, value in total.items():
        inside = slice(ceil_div(height, strides[name])), slice(ceil_div(width, strides[name]))
        total[name] = logits(task.heads[name], value)[(..., *inside)]
    return total


def _resized(x: Tensor, scale: float, whole: int) -> Tensor:
    """Resize images, with antialiasing as in training, to the multiples of `whole` that are closest to a scale."""
    height, width = (whole * max(1, round(int(side) * scale / whole)) for side in x.shape[-2:])
    if (height, width) == tuple(x.shape[-2:]):
        return x
    return F.interpolate(x, (height, width), mode="bilinear", antialias=True)
