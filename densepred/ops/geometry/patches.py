"""Images as a grid of equal patches, and back.

B images, C channels, H x W pixels, h x w patches.
"""

from __future__ import annotations

import torch
from torch import Tensor

from densepred.nn import ceil_div
from densepred.ops.geometry.mirror import mirrored


def whole(image: Tensor, patch: tuple[int, int]) -> Tensor:
    """Continue images (B, C, H, W) to the right and below by reflection until whole patches cover them."""
    height, width = (ceil_div(length, side) * side for length, side in zip(image.shape[-2:], patch, strict=True))
    if not torch.compiler.is_exporting() and (height, width) == tuple(image.shape[-2:]):
        return image
    return mirrored(image, (0, height), (0, width))


def cut(image: Tensor, patch: tuple[int, int]) -> Tensor:
    """Cut images (B, C, H, W) of whole patches into (B, h, w, C * rows * columns), channel by channel, row by row."""
    patches = image.unflatten(-2, (-1, patch[0])).unflatten(-1, (-1, patch[1]))  # B, C, h, rows, w, columns
    return patches.permute(0, 2, 4, 1, 3, 5).flatten(3)


def merge(patches: Tensor, patch: tuple[int, int]) -> Tensor:
    """Merge patches (B, h, w, C * rows * columns) into images (B, C, H, W): the inverse of `cut`."""
    split = patches.unflatten(-1, (-1, *patch))  # B, h, w, C, rows, columns
    return split.permute(0, 3, 1, 4, 2, 5).flatten(4).flatten(2, 3)
