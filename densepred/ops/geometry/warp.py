"""Warps of images, label maps and points by an affine map, alone or with a dense flow.

A matrix leads backwards, from an output pixel (x, y) to its source, as `Frame.matrix` does.
Pixel centers are integers, so an image covers x from -0.5 to W - 0.5.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from densepred.ops.geometry.bilinear import HALF, Sources, finished, read, sample
from densepred.ops.precise import exact

Matrix = tuple[tuple[float, float, float], tuple[float, float, float]]

IDENTITY: Matrix = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))


@dataclass(frozen=True, slots=True)
class Warp:
    """A warp to an output of `size`: its pixel p comes from `matrix` applied to p + flow(p)."""

    matrix: Matrix
    size: tuple[int, int]
    flow: Tensor | None = None  # (2, H, W) float32: x and y displacements on the output's grid


def compose(outer: Matrix, inner: Matrix) -> Matrix:
    """Return the map that applies `inner` first, then `outer`."""
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


def unmirrored(warp: Warp) -> Warp:
    """Mirror the output of a warp left-right if the warp mirrors; return other warps as they are."""
    if determinant(warp.matrix) > 0:
        return warp
    flow = None if warp.flow is None else warp.flow.flip(-1) * torch.tensor([-1.0, 1.0])[:, None, None]
    return Warp(compose(warp.matrix, ((-1.0, 0.0, warp.size[1] - 1.0), (0.0, 1.0, 0.0))), warp.size, flow)


def scaling(before: tuple[int, int], after: tuple[int, int]) -> Matrix:
    """Return the map of a resize from size `before` to `after`; outer edges agree, not the centers of corner pixels."""
    y, x = before[0] / after[0], before[1] / after[1]
    return (x, 0.0, 0.5 * x - 0.5), (0.0, y, 0.5 * y - 0.5)


def locate(warp: Warp, source: tuple[int, int]) -> Sources | None:
    """Return the source positions for `warp_image` and `warp_labels`; None for shifts by whole pixels."""
    return None if _is_whole_pixels(warp) else _positions(warp, source)


def _positions(warp: Warp, source: tuple[int, int]) -> Sources:
    (a, b, c), (d, e, f) = warp.matrix
    xs, ys = torch.arange(warp.size[1], dtype=torch.float64), torch.arange(warp.size[0], dtype=torch.float64)[:, None]
    if _is_axis_aligned(warp):
        x, y = (a * xs + c)[None], e * ys + f
    elif warp.flow is None:
        x, y = ((a * xs + c) + b * ys).float(), (d * xs + (e * ys + f)).float()
    else:
        xs, ys = xs + warp.flow[0], ys + warp.flow[1]
        x, y = (a * xs + b * ys + c).float(), (d * xs + e * ys + f).float()
    in_x, in_y = _within(x, source[1]), _within(y, source[0])
    return Sources(x, y, None if in_x is None and in_y is None else _true(in_x, x) & _true(in_y, y))


def interpolates(warp: Warp, source: tuple[int, int]) -> bool:
    """Return true if `warp_image` samples bilinearly: neither a shift by whole pixels nor a plain resize."""
    return not _is_whole_pixels(warp) and not _is_resize(warp, source)


def warp_image(image: Tensor, warp: Warp, fill: Tensor | None = None, sources: Sources | None = None) -> Tensor:
    """Warp an image (C, H, W) bilinearly, averaged first if it shrinks twofold or more; uint8 is rounded.

    Whole-pixel shifts and flips copy pixels; a plain resize is torch's antialiased one.

    fill: (C,) colour of pixels from outside the image, by default its mean colour.
    sources: the result of `locate` for the same warp and size, if known.
    """
    source = image.shape[-2], image.shape[-1]
    if _is_whole_pixels(warp):
        return _shift(image, warp, lambda: fill_colour(image) if fill is None else fill)
    if _is_resize(warp, source):
        return _resize(image, warp)
    sources = _positions(warp, source) if sources is None else sources
    fill = fill_colour(image) if sources.inside is not None and fill is None else fill
    out = sample(read(image, warp.matrix, sources), sources, warp.size)
    return finished(out, sources.inside, fill, image.dtype)


def warp_labels(labels: Tensor, warp: Warp, fill: float, sources: Sources | None = None) -> Tensor:
    """Warp labels (H, W) of any type to their nearest neighbours, with `fill` for pixels from outside."""
    if _is_whole_pixels(warp):
        value = torch.full((1,), fill, dtype=labels.dtype)
        return _shift(labels[None], warp, lambda: value)[0]
    height, width = labels.shape
    sources = _positions(warp, (height, width)) if sources is None else sources
    xs = (sources.x + HALF).floor_().clamp_(0, width - 1).int()
    ys = (sources.y + HALF).floor_().clamp_(0, height - 1).int()
    if _is_axis_aligned(warp):
        out = labels.index_select(0, ys[:, 0]).index_select(1, xs[0])
    else:
        out = labels.reshape(-1).index_select(0, (ys * width + xs).view(-1)).view(warp.size)
    return out if sources.inside is None else out.masked_fill_(~sources.inside, fill)


def warp_points(points: Tensor, warp: Warp) -> Tensor:
    """Return the output positions of points (..., 2) of the source.

    A flow is inverted by fixed-point steps, which converge if the flow does not fold the image.
    """
    (a, b, c), (d, e, f) = invert(warp.matrix)
    x, y = exact(points[..., 0]), exact(points[..., 1])
    straight = torch.stack((a * x + b * y + c, d * x + e * y + f), -1)
    if warp.flow is None:
        return straight.to(points)
    moved = straight
    for _ in range(30):
        moved = straight - _at(warp.flow, moved)
    return moved.to(points)


def _at(flow: Tensor, points: Tensor) -> Tensor:
    """Interpolate the flow (2, H, W) at points (..., 2); beyond the border it is that of the border."""
    size = torch.tensor([flow.shape[2], flow.shape[1]], dtype=torch.float64)
    grid = ((2 * points + 1) / size - 1).reshape(1, 1, -1, 2)
    values = F.grid_sample(flow[None].double(), grid, padding_mode="border", align_corners=False)
    return values[0, :, 0].T.reshape(points.shape)


def _is_axis_aligned(warp: Warp) -> bool:
    return warp.flow is None and warp.matrix[0][1] == 0 and warp.matrix[1][0] == 0


def _is_whole_pixels(warp: Warp) -> bool:
    (a, _, c), (_, e, f) = warp.matrix
    exact = all(abs(value - round(value)) < 1e-6 for value in (c, f))
    return _is_axis_aligned(warp) and abs(abs(a) - 1) < 1e-9 and abs(abs(e) - 1) < 1e-9 and exact


def _is_resize(warp: Warp, source: tuple[int, int]) -> bool:
    """Return true if the output holds exactly the whole source, perhaps mirrored."""
    if not _is_axis_aligned(warp):
        return False
    (a, _, c), (_, e, f) = warp.matrix
    pairs = ((a, c, warp.size[1], source[1]), (e, f, warp.size[0], source[0]))
    ends = (sorted((-0.5 * scale + shift, (n - 0.5) * scale + shift)) + [size] for scale, shift, n, size in pairs)
    return all(abs(low + 0.5) < 1e-6 and abs(high - size + 0.5) < 1e-6 for low, high, size in ends)


def _shift(image: Tensor, warp: Warp, fill: Callable[[], Tensor]) -> Tensor:
    (a, _, c), (_, e, f) = warp.matrix
    rows = _span(round(e), round(f), warp.size[0], image.shape[-2])
    columns = _span(round(a), round(c), warp.size[1], image.shape[-1])
    part = image[:, rows[1], columns[1]]
    flips = [axis for axis, scale in ((1, e), (2, a)) if scale < 0]
    part = part.flip(flips) if flips else part
    if part.shape[-2:] == warp.size:
        return part.contiguous()
    value = fill()
    value = value.round() if image.dtype == torch.uint8 and value.is_floating_point() else value
    out = value.to(image.dtype)[:, None, None].expand(-1, *warp.size).clone()
    out[:, rows[0], columns[0]] = part
    return out


def _span(sign: int, shift: int, length: int, available: int) -> tuple[slice, slice]:
    """Return the output positions with a source, and these sources in rising order."""
    low, high = (-shift, available - shift) if sign > 0 else (shift - available + 1, shift + 1)
    low, high = max(low, 0), min(high, length)
    if low >= high:
        return slice(0, 0), slice(0, 0)
    ends = sorted((sign * low + shift, sign * (high - 1) + shift))
    return slice(low, high), slice(ends[0], ends[1] + 1)


def _resize(image: Tensor, warp: Warp) -> Tensor:
    # Shrinking three channels of bytes to one pixel raises an assertion within torch 2.14; one channel does not
    stack = image[:, None] if warp.size == (1, 1) else image[None]
    out = F.interpolate(stack, warp.size, mode="bilinear", align_corners=False, antialias=True).flatten(0, 1)
    flips = [axis for axis, scale in ((1, warp.matrix[1][1]), (2, warp.matrix[0][0])) if scale < 0]
    return out.flip(flips) if flips else out


def _within(positions: Tensor, length: int) -> Tensor | None:
    low, high = positions.aminmax()
    if low >= -HALF and high < length - HALF:
        return None
    return (positions >= -HALF) & (positions < length - HALF)


def _true(inside: Tensor | None, like: Tensor) -> Tensor:
    return torch.ones_like(like, dtype=torch.bool) if inside is None else inside


def fill_colour(image: Tensor) -> Tensor:
    """Return the mean colour (C,) of every 8th pixel per axis, which is close enough to fill with."""
    return image[:, ::8, ::8].float().mean((1, 2))
