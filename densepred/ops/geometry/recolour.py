"""Affine maps of colours: matrices (C, C + 1) that act on (values, 1) of images in [0, 1]."""

from __future__ import annotations

import torch
from torch import Tensor

_PIECE = 32768


def mean_colour(image: Tensor) -> Tensor:
    """Return the mean colour (C,) in [0, 1] of every 4th pixel per axis of an image (C, H, W)."""
    mean = image[:, ::4, ::4].float().mean((1, 2))
    return mean / 255 if image.dtype == torch.uint8 else mean


def compose_colours(outer: Tensor, inner: Tensor) -> Tensor:
    """Return the map that applies `inner` first, then `outer`."""
    out = outer[:, :-1] @ inner
    out[:, -1] += outer[:, -1]
    return out


def recolour(image: Tensor, matrix: Tensor) -> Tensor:
    """Map the colours of an image (C, H, W) and clip them to its range; uint8 is rounded."""
    scale = 255.0 if image.dtype == torch.uint8 else 1.0
    out = torch.empty_like(image, memory_format=torch.contiguous_format)
    # Work piece by piece, so that intermediate values stay in cache
    for source, target in zip(image.flatten(1).split(_PIECE, 1), out.flatten(1).split(_PIECE, 1), strict=True):
        values = torch.addmm(matrix[:, -1:] * scale, matrix[:, :-1], source.float()).clamp_(0, scale)
        target.copy_(values.add_(0.5) if image.dtype == torch.uint8 else values)
    return out
