"""Linear maps of colours, (C, C + 1) acting on (values, 1) of images in [0, 1]."""

from __future__ import annotations

import torch
from torch import Tensor


def mean_colour(image: Tensor) -> Tensor:
    """The mean (C,) in [0, 1] of every 4th pixel of an image (C, H, W)."""
    mean = image[:, ::4, ::4].float().mean((1, 2))
    return mean / 255 if image.dtype == torch.uint8 else mean


def compose_colours(outer: Tensor, inner: Tensor) -> Tensor:
    """The map that applies `inner` first."""
    out = outer[:, :-1] @ inner
    out[:, -1] += outer[:, -1]
    return out


def recolour(image: Tensor, matrix: Tensor) -> Tensor:
    """Map the colours of an image (C, H, W) and clip them to its range; uint8 is rounded."""
    scale = 255.0 if image.dtype == torch.uint8 else 1.0
    out = torch.addmm(matrix[:, -1:] * scale, matrix[:, :-1], image.flatten(1).float()).view(image.shape)
    return out.round_().clamp_(0, 255).to(torch.uint8) if image.dtype == torch.uint8 else out.clamp_(0, 1)
