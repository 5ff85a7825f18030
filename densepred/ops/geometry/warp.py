"""Move pictures, label maps and points by one affine map, or by an affine map and a dense flow.

A map leads backwards, from an output pixel (x, y) to where it comes from, as `Frame.matrix` does.
Pixel centres are integers, so an image covers x from -0.5 to W - 0.5.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

Matrix = tuple[tuple[float, float, float], tuple[float, float, float]]

IDENTITY: Matrix = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))

# A position half-way between two pixels belongs to the later one, whatever rounding did to its last digits
_HALF = 0.5 + 1e-6


@dataclass(frozen=True, slots=True)
class Move:
    """An output of `size` whose pixel p comes from `matrix` of (p + flow at p)."""

    matrix: Matrix
    size: tuple[int, int]
    flow: Tensor | None = None  # (2, H, W) float32: x and y displacements on the output's grid


@dataclass(frozen=True, slots=True)
class Sources:
    """Where output pixels come from: x (1 or H, W) and y (H, 1 or W), and whether that is in the image."""

    x: Tensor
    y: Tensor
    inside: Tensor | None  # (H, W) bool; None where all are


def compose(outer: Matrix, inner: Matrix) -> Matrix:
    """The map that applies `inner` first."""
    (a, b, c), (d, e, f) = outer
    (g, h, i), (j, k, m) = inner
    return (a * g + b * j, a * h + b * k, a * i + b * m + c), (d * g + e * j, d * h + e * k, d * i + e * m + f)


def invert(matrix: Matrix) -> Matrix:
    (a, b, c), (d, e, f) = matrix
    det = a * e - b * d
    return (e / det, -b / det, (b * f - e * c) / det), (-d / det, a / det, (d * c - a * f) / det)


def determinant(matrix: Matrix) -> float:
    (a, b, _), (d, e, _) = matrix
    return a * e - b * d


def scaling(before: tuple[int, int], after: tuple[int, int]) -> Matrix:
    """The map of a resize whose outer edges agree."""
    y, x = before[0] / after[0], before[1] / after[1]
    return (x, 0.0, 0.5 * x - 0.5), (0.0, y, 0.5 * y - 0.5)


def locate(move: Move, source: tuple[int, int]) -> Sources | None:
    """What `warp_image` and `warp_labels` share; None for moves by whole pixels, which need no positions."""
    if _is_whole_pixels(move):
        return None
    (a, b, c), (d, e, f) = move.matrix
    xs, ys = torch.arange(move.size[1], dtype=torch.float64), torch.arange(move.size[0], dtype=torch.float64)[:, None]
    if _is_axis_aligned(move):
        x, y = (a * xs + c)[None], e * ys + f
    elif move.flow is None:
        x, y = ((a * xs + c) + b * ys).float(), (d * xs + (e * ys + f)).float()
    else:
        xs, ys = xs + move.flow[0], ys + move.flow[1]
        x, y = (a * xs + b * ys + c).float(), (d * xs + e * ys + f).float()
    in_x, in_y = _within(x, source[1]), _within(y, source[0])
    return Sources(x, y, None if in_x is None and in_y is None else _true(in_x, x) & _true(in_y, y))


def warp_image(image: Tensor, move: Move, fill: Tensor | None = None, sources: Sources | None = None) -> Tensor:
    """Bilinear, averaged first where it shrinks twofold or more; uint8 is rounded.

    Whole-pixel shifts and flips copy pixels; a plain resize is torch's antialiased one.
    Pixels from outside the image become `fill` (C,), by default the image's mean.
    """
    source = image.shape[-2], image.shape[-1]
    if _is_whole_pixels(move):
        return _shift(image, move, lambda: _mean(image) if fill is None else fill)
    if _is_resize(move, source):
        return _resize(image, move)
    sources = locate(move, source) if sources is None else sources
    assert sources is not None
    out = _sample(image, move, sources)
    if sources.inside is not None:
        value = (_mean(image) if fill is None else fill).to(torch.float32)
        out = torch.where(sources.inside, out, value[:, None, None])
    return out.add_(0.5).to(torch.uint8) if image.dtype == torch.uint8 else out


def warp_labels(labels: Tensor, move: Move, fill: float, sources: Sources | None = None) -> Tensor:
    """Nearest neighbour; labels (H, W) of any type, `fill` where nothing is known."""
    if _is_whole_pixels(move):
        value = torch.full((1,), fill, dtype=labels.dtype)
        return _shift(labels[None], move, lambda: value)[0]
    height, width = labels.shape
    sources = locate(move, (height, width)) if sources is None else sources
    assert sources is not None
    xs = (sources.x + _HALF).floor_().clamp_(0, width - 1).int()
    ys = (sources.y + _HALF).floor_().clamp_(0, height - 1).int()
    if _is_axis_aligned(move):
        out = labels.index_select(0, ys[:, 0]).index_select(1, xs[0])
    else:
        out = labels.reshape(-1).index_select(0, (ys * width + xs).view(-1)).view(move.size)
    return out if sources.inside is None else out.masked_fill_(~sources.inside, fill)


def move_points(points: Tensor, move: Move) -> Tensor:
    """Points (..., 2) of the source to where the output shows them.

    A flow is undone by fixed-point steps, which find the point wherever the flow does not fold the image.
    """
    (a, b, c), (d, e, f) = invert(move.matrix)
    x, y = points[..., 0].double(), points[..., 1].double()
    straight = torch.stack((a * x + b * y + c, d * x + e * y + f), -1)
    if move.flow is None:
        return straight.to(points.dtype)
    moved = straight
    for _ in range(30):
        moved = straight - _at(move.flow, moved)
    return moved.to(points.dtype)


def _at(flow: Tensor, points: Tensor) -> Tensor:
    """The flow (2, H, W) at points (..., 2), bilinear, as at the border beyond it."""
    size = torch.tensor([flow.shape[2], flow.shape[1]], dtype=torch.float64)
    grid = ((2 * points + 1) / size - 1).reshape(1, 1, -1, 2)
    values = F.grid_sample(flow[None].double(), grid, padding_mode="border", align_corners=False)
    return values[0, :, 0].T.reshape(points.shape)


def _is_axis_aligned(move: Move) -> bool:
    return move.flow is None and move.matrix[0][1] == 0 and move.matrix[1][0] == 0


def _is_whole_pixels(move: Move) -> bool:
    (a, _, c), (_, e, f) = move.matrix
    exact = all(abs(value - round(value)) < 1e-6 for value in (c, f))
    return _is_axis_aligned(move) and abs(abs(a) - 1) < 1e-9 and abs(abs(e) - 1) < 1e-9 and exact


def _is_resize(move: Move, source: tuple[int, int]) -> bool:
    """Whether the output shows the whole source, maybe mirrored, and nothing else."""
    if not _is_axis_aligned(move):
        return False
    (a, _, c), (_, e, f) = move.matrix
    pairs = ((a, c, move.size[1], source[1]), (e, f, move.size[0], source[0]))
    ends = (sorted((-0.5 * scale + shift, (n - 0.5) * scale + shift)) + [size] for scale, shift, n, size in pairs)
    return all(abs(low + 0.5) < 1e-6 and abs(high - size + 0.5) < 1e-6 for low, high, size in ends)


def _shift(image: Tensor, move: Move, fill: Callable[[], Tensor]) -> Tensor:
    (a, _, c), (_, e, f) = move.matrix
    rows = _span(round(e), round(f), move.size[0], image.shape[-2])
    columns = _span(round(a), round(c), move.size[1], image.shape[-1])
    part = image[:, rows[1], columns[1]]
    flips = [axis for axis, scale in ((1, e), (2, a)) if scale < 0]
    part = part.flip(flips) if flips else part
    if part.shape[-2:] == move.size:
        return part.contiguous()
    value = fill()
    value = value.round() if image.dtype == torch.uint8 and value.is_floating_point() else value
    out = value.to(image.dtype)[:, None, None].expand(-1, *move.size).clone()
    out[:, rows[0], columns[0]] = part
    return out


def _span(sign: int, shift: int, length: int, available: int) -> tuple[slice, slice]:
    """The output positions that have a source, and those sources in rising order."""
    low, high = (-shift, available - shift) if sign > 0 else (shift - available + 1, shift + 1)
    low, high = max(low, 0), min(high, length)
    if low >= high:
        return slice(0, 0), slice(0, 0)
    ends = sorted((sign * low + shift, sign * (high - 1) + shift))
    return slice(low, high), slice(ends[0], ends[1] + 1)


def _resize(image: Tensor, move: Move) -> Tensor:
    out = F.interpolate(image[None], move.size, mode="bilinear", align_corners=False, antialias=True)[0]
    flips = [axis for axis, scale in ((1, move.matrix[1][1]), (2, move.matrix[0][0])) if scale < 0]
    return out.flip(flips) if flips else out


def _within(positions: Tensor, length: int) -> Tensor | None:
    low, high = positions.aminmax()
    if low >= -_HALF and high < length - _HALF:
        return None
    return (positions >= -_HALF) & (positions < length - _HALF)


def _true(inside: Tensor | None, like: Tensor) -> Tensor:
    return torch.ones_like(like, dtype=torch.bool) if inside is None else inside


def _sample(image: Tensor, move: Move, sources: Sources) -> Tensor:
    """Bilinear values (C, H, W) float32; beyond the border, those of the border."""
    # Touch only the part of the source that is seen
    rows, columns = _seen(sources.y, image.shape[-2]), _seen(sources.x, image.shape[-1])
    part = image[None, :, rows, columns].float()
    x, y = sources.x - columns.start, sources.y - rows.start

    # Average before shrinking, else thin things flicker
    (a, b, _), (d, e, _) = move.matrix
    kernel = [2 ** max(0, math.floor(math.log2(max(math.hypot(*pair), 1e-9)) + 1e-6)) for pair in ((d, e), (a, b))]
    if max(kernel) > 1:
        part = F.avg_pool2d(part, kernel, ceil_mode=True)
        x, y = (x + 0.5) / kernel[1] - 0.5, (y + 0.5) / kernel[0] - 0.5

    grid = torch.empty(1, *move.size, 2)
    grid[0, :, :, 0] = (2 * x + 1) / part.shape[-1] - 1
    grid[0, :, :, 1] = (2 * y + 1) / part.shape[-2] - 1
    return F.grid_sample(part, grid, padding_mode="border", align_corners=False)[0]


def _seen(positions: Tensor, length: int) -> slice:
    low, high = positions.aminmax()
    start = min(max(math.floor(low.item()) - 1, 0), length - 1)
    return slice(start, max(min(math.ceil(high.item()) + 2, length), start + 1))


def _mean(image: Tensor) -> Tensor:
    """The mean colour (C,) of every 8th pixel, which is close enough to fill with."""
    return image[:, ::8, ::8].float().mean((1, 2))
