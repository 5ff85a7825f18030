"""Affine maps of colours: matrices (C, C + 1) that act on (values, 1) of images in [0, 1]."""

from __future__ import annotations

import torch
from torch import Tensor

_PIECE = 32768

STEP = 4
"""Pixels per axis between two that the mean colour counts."""


def mean_colour(image: Tensor) -> Tensor:
    """Return the mean colour (C,) in [0, 1] of every 4th pixel per axis of an image (C, H, W)."""
    return _mean(image[:, ::STEP, ::STEP])


def mean_of_every(counted: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the mean colour of an image of `size` by the pixels (C, h, w) alone that it counts, equal in every bit."""
    if counted.dtype == torch.uint8:
        return _mean(counted)
    # Sums of floats depend on the layout: they are added in the order of their memory
    image = counted.new_empty(len(counted), *size)[:, ::STEP, ::STEP]
    return _mean(image.copy_(counted))


def _mean(pixels: Tensor) -> Tensor:
    mean = pixels.float().mean((1, 2))
    return mean / 255 if pixels.dtype == torch.uint8 else mean


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


def recolour_all(images: Tensor, matrices: Tensor) -> Tensor:
    """Map the colours of images (B, C, H, W) by a matrix each (B, C, C + 1): on a device, in few kernels.

    On a CPU it is `recolour` of each: a product of a batch adds in another order, so the last bits would differ.
    """
    if images.device.type == "cpu":
        return torch.stack([recolour(*each) for each in zip(images, matrices, strict=True)])
    scale = 255.0 if images.dtype == torch.uint8 else 1.0
    values = torch.baddbmm(matrices[..., -1:] * scale, matrices[..., :-1], images.flatten(2).float()).clamp_(0, scale)
    return (values.add_(0.5).to(torch.uint8) if images.dtype == torch.uint8 else values).view(images.shape)
