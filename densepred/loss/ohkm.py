"""Online hard keypoint mining (arXiv 1711.07319): only the heat maps with the largest errors count."""

from __future__ import annotations

import torch
from torch import Tensor

from densepred.contracts import Loss
from densepred.ops.loss.labels import ratio
from densepred.ops.loss.values import differences, known_normalise
from densepred.types import UserError


class HardKeypoints(Loss):
    """The mean squared error of the `joints` channels with the largest error in each image.

    A channel's error is the mean over its pixels that count; channels with a weight of 0 everywhere are not chosen.
    The mean divides by the mean weights of the channels chosen. With `normalise="count"` it divides by `joints` for
    each image, as in HRNet's program, where hidden joints may be among them.
    """

    target = "values"

    def __init__(self, joints: int = 8, normalise: str = "weights") -> None:
        super().__init__()
        if joints < 1:
            raise UserError(f"loss.joints: {joints}; give 1 or more")
        self.joints = joints
        self.normalise = known_normalise(normalise)

    def forward(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        error, weight = differences(pred, target, weight)
        error, weight = (error.square() * weight).flatten(2).mean(-1), weight.flatten(2).mean(-1)
        order = error.detach().masked_fill(weight == 0, -torch.inf).topk(min(self.joints, error.shape[1])).indices
        chosen = error.gather(1, order)
        return chosen.mean() if self.normalise == "count" else ratio(chosen.sum(), weight.gather(1, order).sum())
