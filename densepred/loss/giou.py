"""Generalised IoU of boxes given by the distances from a point to their sides."""

from __future__ import annotations

import torch
from torch import Tensor

from densepred.contracts import SummedLoss
from densepred.ops.boxes.ltrb import generalised_iou
from densepred.ops.loss.values import counted


class GeneralisedIoU(SummedLoss):
    """1 - GIoU (https://arxiv.org/abs/1902.09630), divided by the sum of the weights of the locations.

    Channels are the distances to the left, top, right and bottom side. Prediction and target of a location share their
    unit, which may be any; negative distances count as 0.
    """

    target = "values"
    linear = True

    def statistics(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        weight = None if weight is None else _per_box(weight)
        pred, target = counted(pred, target, weight)
        loss = 1 - generalised_iou(pred, target)  # (B, H, W)
        weight = torch.ones_like(loss) if weight is None else weight.to(loss.dtype).expand_as(loss)
        return torch.stack([(loss * weight).flatten(1).sum(1), weight.flatten(1).sum(1)], 1)


def _per_box(weight: Tensor) -> Tensor:
    """Return one weight per box, (B, H, W): the first, if there is one per side."""
    return weight if weight.ndim == 3 else weight[:, 0]
