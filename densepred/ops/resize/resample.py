"""Predictions on the grid of the ground truth: the only place that enlarges the outputs of a network.

Values are never scaled: offsets are in input pixels.
B images, K classes, h x w a coarse map, H x W the grid of the ground truth.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from densepred.ops.resize.bands import Enlarger
from densepred.types import MAX_CLASSES

CHUNK = 2**21
"""Elements of an enlarged map that exist at once on a CPU: 8 MB of float32. Less means more calls, more the memory."""

CHUNK_ACCELERATOR = 2**25
"""As `CHUNK` on an accelerator, where few large steps are faster than many small ones: 128 MB each."""


def resize(x: Tensor, size: tuple[int, int], align_corners: bool = False) -> Tensor:
    """Resize (B, C, h, w) to (B, C, *size) bilinearly, in at least float32: bfloat16 has three digits."""
    x = x.to(torch.promote_types(x.dtype, torch.float32))
    if _has(x, size):
        return x
    return F.interpolate(x, size, mode="bilinear", align_corners=align_corners)


def _has(x: Tensor, size: tuple[int, int]) -> bool:
    """Return True if x has this size; in an exported program, if it has it for images of every size."""
    if not torch.compiler.is_exporting():
        return x.shape[-2:] == size
    from torch.fx.experimental.symbolic_shapes import statically_known_true

    return all(statically_known_true(one == other) for one, other in zip(x.shape[-2:], size, strict=True))


def two_channels(logits: Tensor) -> Tensor:
    """Return one channel x as the logits [0, x] of a binary problem; leave more channels as they are."""
    if logits.shape[1] != 1:
        return logits
    return torch.cat([torch.zeros_like(logits), logits], 1)


@torch.no_grad()
def argmax(logits: Tensor, size: tuple[int, int], align_corners: bool = False) -> Tensor:
    """Return `resize(logits, size).argmax(1)`, (B, H, W) uint8, band by band, without the (B, K, H, W) tensor.

    torch.argmax over channels costs as much as a whole loss; a maximum and a comparison are cheap. Ties go to the first
    class. Scores that differ by rounding only may change places, as they do between two kernels of torch.
    """
    channels = max(2, logits.shape[1])
    assert channels <= MAX_CLASSES, f"{channels} classes do not fit uint8"
    dtype = torch.promote_types(logits.dtype, torch.float32)
    enlarger = Enlarger((logits.shape[-2], logits.shape[-1]), size, align_corners, dtype, logits.device)
    winner = torch.empty(len(logits), *size, dtype=torch.uint8, device=logits.device)
    with torch.autocast(logits.device.type, enabled=False):
        for images, a, b in pieces(logits.shape, size, enlarger):
            scores = two_channels(enlarger.enlarge(logits[images], a, b))
            winner[images, a:b] = _first_largest(scores)
    return winner


def _first_largest(scores: Tensor) -> Tensor:
    """Return the first class of the largest score, (B, R, W) uint8, for scores (B, K, R, W)."""
    channels = scores.shape[1]
    rank = torch.arange(channels, 0, -1, dtype=torch.uint8, device=scores.device)[:, None, None]
    less = scores < scores.amax(1, keepdim=True)
    # The largest rank of those that are not less is the first class, also where everything is NaN.
    return channels - less.logical_not_().mul(rank).amax(1)


def pieces(shape: Sequence[int], size: tuple[int, int], enlarger: Enlarger) -> Iterator[tuple[slice, int, int]]:
    """Yield images and rows of bands of about one size: several small images, or some rows of a large one."""
    images, channels = shape[:2]
    limit = CHUNK if enlarger.device.type == "cpu" else CHUNK_ACCELERATOR
    many = max(1, limit // (channels * size[0] * size[1]))
    rows = max(1, limit // (channels * size[1]))
    for start in range(0, images, many):
        for a, b in enlarger.bands(rows):
            yield slice(start, min(start + many, images)), a, b
