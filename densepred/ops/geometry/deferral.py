"""Facts that a device needs for the last warp and the colours of an image, and the mean colour after the warp.

Random numbers and matrices of colours depend on the mean colour after the warp, so that is computed here.
"""

from __future__ import annotations

import torch
from torch import Tensor

from densepred.ops.geometry.bilinear import Sources, finished, read, sample
from densepred.ops.geometry.deferred import DeferredImage, Sampling
from densepred.ops.geometry.recolour import STEP, mean_colour, mean_of_every
from densepred.ops.geometry.warp import Warp, fill_colour, interpolates, warp_image

EXACT = (torch.uint8, torch.float32, torch.float64)
"""Types of images that can be deferred: float32 holds them as the network gets them."""


def deferred(image: Tensor, warp: Warp | None, sources: Sources | None = None) -> DeferredImage:
    """Defer the warp of an image if it interpolates. None: no warp.

    A shift by whole pixels is a copy, which a batch needs anyway, so it is made at once. So is a plain resize: the
    mean colour after it needs every pixel.

    sources: the result of `locate` for the same warp and image
    """
    size = image.shape[-2], image.shape[-1]
    if warp is None:
        return DeferredImage(image, size)
    if sources is None or not interpolates(warp, size):
        return DeferredImage(warp_image(image, warp, sources=sources), warp.size)
    part = read(image, warp.matrix, sources)
    fill = None if sources.inside is None else fill_colour(image)
    return DeferredImage(part.pixels, warp.size, Sampling(part, sources, fill))


def mean_after(image: DeferredImage) -> Tensor:
    """Return `mean_colour` after the warp, equal in every bit: only the pixels that it counts are computed."""
    if image.sampling is None:
        return mean_colour(image.pixels)
    part, sources, fill = image.sampling.part, image.sampling.sources.every(STEP), image.sampling.fill
    size = -(-image.size[0] // STEP), -(-image.size[1] // STEP)
    counted = finished(sample(part, sources, size), sources.inside, fill, image.pixels.dtype)
    return mean_of_every(counted, image.size)
