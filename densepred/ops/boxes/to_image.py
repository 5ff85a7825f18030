"""Boxes mapped from the network input to the original image."""

from __future__ import annotations

import torch
from torch import Tensor

from densepred.ops.boxes.edges import clip
from densepred.types import Frame, UserError


def boxes_in_image(boxes: Tensor, frame: Frame) -> Tensor:
    """Map boxes (N, 4) of the input to the upright boxes around them in the image, clipped to it.

    Raises UserError if the input was warped by a flow, which has no matrix.
    """
    matrix = boxes.new_tensor(frame.matrix)
    if not matrix.isfinite().all():
        raise UserError(f"{frame.id}: boxes cannot be mapped back through a flow; leave warps out of transform.valid")
    x0, y0, x1, y1 = boxes.unbind(1)
    corners = torch.stack([torch.stack([x0, x1, x0, x1], 1), torch.stack([y0, y0, y1, y1], 1)], -1)
    placed = corners @ matrix[:, :2].T + matrix[:, 2]  # (N, 4, 2)
    return clip(torch.cat([placed.amin(1), placed.amax(1)], 1), frame.size)
