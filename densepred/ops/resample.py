"""Predictions on the grid of the truth: the only place that enlarges what a network says.

B images, K classes, h x w a coarse map, H x W the grid of the truth. Numbers are never scaled: offsets are in input pixels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from densepred.types import MAX_CLASSES

CHUNK = 2**20
"""Elements of an enlarged map that exist at once on a CPU: 4 MB of float32, about what its caches hold."""

CHUNK_ACCELERATOR = 2**27
"""The same on an accelerator, where few large steps are faster than many small ones: 512 MB."""


def chunk_elements(device: torch.device) -> int:
    return CHUNK if device.type == "cpu" else CHUNK_ACCELERATOR


def resize(x: Tensor, size: tuple[int, int], align_corners: bool = False) -> Tensor:
    """Bilinear (B, C, h, w) -> (B, C, *size), in at least float32: bfloat16 would keep three digits of a logit."""
    x = x.to(torch.promote_types(x.dtype, torch.float32))
    if x.shape[-2:] == size:
        return x
    return F.interpolate(x, size, mode="bilinear", align_corners=align_corners)


def two_channels(logits: Tensor) -> Tensor:
    """One channel x is the logits [0, x] of a binary problem; more channels stay as they are."""
    if logits.shape[1] != 1:
        return logits
    return torch.cat([torch.zeros_like(logits), logits], 1)


@torch.no_grad()
def argmax(logits: Tensor, size: tuple[int, int], align_corners: bool = False) -> Tensor:
    """`resize(logits, size).argmax(1)` as (B, H, W) uint8, bit for bit, without the (B, K, H, W) tensor.

    torch.argmax over channels costs as much as a whole loss. The maximum and a comparison are cheap, and channels can
    be enlarged a few at a time. Ties go to the first class.
    """
    logits = two_channels(logits)
    channels = logits.shape[1]
    assert 1 < channels <= MAX_CLASSES, f"{channels} classes do not fit uint8"
    images = max(1, chunk_elements(logits.device) // (channels * size[0] * size[1]))
    step = max(1, chunk_elements(logits.device) // (images * size[0] * size[1]))
    parts = [_argmax(part, size, align_corners, step) for part in logits.split(images)]
    return torch.cat(parts)


def _argmax(logits: Tensor, size: tuple[int, int], align_corners: bool, step: int) -> Tensor:
    """The same for a few images, `step` channels at a time."""
    channels = logits.shape[1]
    code = torch.arange(channels, 0, -1, dtype=torch.uint8, device=logits.device)[:, None, None]
    best = winner = None
    for start in range(0, channels, step):
        scores = resize(logits[:, start : start + step], size, align_corners)
        top = scores.amax(1, keepdim=True)
        # The largest code of those that are not less is the first class, also where everything is NaN.
        first = ((scores < top).logical_not_() * code[start : start + step]).amax(1)
        if best is None or winner is None:
            best, winner = top, first
            continue
        better = top > best
        winner = torch.where(better[:, 0], first, winner)
        best = torch.maximum(best, top)
    assert winner is not None
    return channels - winner
