"""Boxes as outer edges x0, y0, x1, y1: their areas, and what lies inside an image. The first pixel is -0.5 to 0.5."""

from __future__ import annotations

import torch
from torch import Tensor


def areas(boxes: Tensor) -> Tensor:
    """Compute the areas of boxes: (N, 4) -> (N,)."""
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def clip(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Clip boxes (N, 4) to an image: its outer edges are -0.5 and its size - 0.5."""
    high = boxes.new_tensor([size[1], size[0], size[1], size[0]]) - 0.5
    return torch.minimum(boxes.clamp_min(-0.5), high)
