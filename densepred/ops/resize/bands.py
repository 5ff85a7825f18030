"""Bilinear enlargement of a band of rows, and its adjoint for gradients.

Every row and column mixes two neighbours, so columns are mixed on the few coarse rows under a band and rows after them.
N images, K channels, h x w coarse, H x W enlarged; a:b rows of a band. Row ranges are host arithmetic: no device waits.
"""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import pairwise

import torch
from torch import Tensor

from densepred.ops.resize.taps import positions, stored_matrix, taps

BLOCK = 16
"""Coarse columns that are mixed by one small matrix."""

RUN = 8
"""The most rows in a geometric series of exponentials: rounding adds up along it. A power of two."""


class Enlarger:
    """`F.interpolate(x, size, mode="bilinear")` for a:b rows at a time."""

    def __init__(
        self,
        source: tuple[int, int],
        size: tuple[int, int],
        align_corners: bool,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        self.identity = source == size
        self.height = size[0]
        self.dtype, self.device = dtype, device
        scratch = Scratch(dtype, device)
        rows = StridedRows if _strided(source[0], size[0], align_corners) else MatrixRows
        self.rows = rows(source[0], size[0], align_corners, scratch)
        blocks = _strided(source[1], size[1], align_corners) and block_width(source[1]) > 1
        columns = BlockColumns if blocks else MatrixColumns
        self.columns = columns(source[1], size[1], align_corners, scratch)

    def bands(self, most: int) -> list[tuple[int, int]]:
        """Return ranges of rows that cover the image, about `most` each."""
        if self.identity:
            return [(a, min(a + most, self.height)) for a in range(0, self.height, most)]
        return self.rows.bands(most)

    def enlarge(self, x: Tensor, a: int, b: int) -> Tensor:
        """Return rows a:b of the enlarged (N, K, h, w) as (N, K, b - a, W).

        The caller may overwrite them; the next call does.
        """
        if self.identity:
            return x[:, :, a:b].to(self.dtype, copy=True)
        p, q = self.rows.source(a, b)
        return self.rows.mix(self.columns.mix(x[:, :, p:q].to(self.dtype)), a, b)

    def exponentials(self, x: Tensor, a: int, b: int) -> Tensor | None:
        """Return exp of rows a:b as `enlarge` gives them, up to one factor per pixel: enough for a softmax.

        The maximum over channels is subtracted at every coarse location, which bounds the enlarged logits too.
        None if the exponentials might still leave the normal numbers.
        """
        p, q = (a, b) if self.identity else self.rows.source(a, b)
        x = x[:, :, p:q].to(self.dtype)
        x = x - x.amax(1, keepdim=True)
        if not x.amin() > 0.9 * math.log(torch.finfo(self.dtype).tiny):
            return None
        return x.exp_() if self.identity else self.rows.exponentials(self.columns.mix(x), a, b)

    def add_adjoint(self, into: Tensor, gradient: Tensor, a: int, b: int) -> None:
        """Add the gradient of the coarse map due to that of rows a:b, (N, K, b - a, W), to `into`: (N, K, h, w)."""
        if self.identity:
            into[:, :, a:b] += gradient
            return
        p, q = self.rows.source(a, b)
        into[:, :, p:q] += self.columns.adjoint(self.rows.adjoint(gradient, a, b))


class Scratch:
    """Memory by name, reused for every band: touching fresh pages costs as much as the arithmetic."""

    def __init__(self, dtype: torch.dtype, device: torch.device) -> None:
        self.dtype, self.device = dtype, device
        self.held: dict[str, Tensor] = {}

    def take(self, name: str, *shape: int) -> Tensor:
        """Return uninitialised memory; the previous content under this name is lost."""
        size = math.prod(shape)
        held = self.held.get(name)
        if held is None or len(held) < size:
            held = self.held[name] = torch.empty(size, dtype=self.dtype, device=self.device)
        return held[:size].view(shape)


class StridedRows:
    """H = s h without aligned corners: s rows in turn lie between the same two, at the same distances.

    The first and the last coarse row count twice, so that group g of s rows mixes rows g - 1 and g of h + 2.
    """

    def __init__(self, source: int, size: int, align_corners: bool, scratch: Scratch) -> None:
        del align_corners
        self.n, self.size, self.stride, self.scratch = source, size, size // source, scratch
        self.run = math.gcd(self.stride, RUN)
        self.before = self.stride - self.stride // 2  # rows of the first group that lie above the image
        step = _distances(self.stride, scratch)
        self.distance = step[:, None]
        self.taps = torch.stack([1 - step, step])  # (2, s)

    def groups(self, a: int, b: int) -> tuple[int, int]:
        return (a + self.before) // self.stride, (b - 1 + self.before) // self.stride + 1

    def bands(self, most: int) -> list[tuple[int, int]]:
        if most >= self.size:
            return [(0, self.size)]
        # The half groups at the edges stand alone: a band that holds one is copied to make it whole.
        step = max(1, most // self.stride) * self.stride
        inner = range(self.stride - self.before, self.size - self.before, step)
        cuts = sorted({0, *inner, self.size - self.before, self.size})
        return list(pairwise(cuts))

    def source(self, a: int, b: int) -> tuple[int, int]:
        first, last = self.groups(a, b)
        return max(first - 1, 0), min(last, self.n)

    def mix(self, x: Tensor, a: int, b: int) -> Tensor:
        upper, lower, mixed = self.around(x, a, b)
        torch.lerp(upper[:, :, :, None], lower[:, :, :, None], self.distance, out=mixed)
        return self.inside(mixed, a, b)

    def exponentials(self, x: Tensor, a: int, b: int) -> Tensor:
        """Return exp(mix(x)). Between two coarse rows logits are linear, so exponentials are a geometric series."""
        if self.run < 4:
            return self.mix(x, a, b).exp_()
        upper, lower, mixed = self.around(x, a, b)
        series = mixed.unflatten(3, (-1, self.run))
        first = self.distance[:: self.run]
        torch.lerp(upper[:, :, :, None], lower[:, :, :, None], first, out=series[:, :, :, :, 0]).exp_()
        factor = torch.sub(lower, upper).div_(self.stride).exp_()[:, :, :, None, None]
        known = 1
        while known < self.run:
            torch.mul(series[:, :, :, :, :known], factor, out=series[:, :, :, :, known : 2 * known])
            factor.mul_(factor)
            known *= 2
        return self.inside(mixed, a, b)

    def around(self, x: Tensor, a: int, b: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return the coarse rows above and below each group, (N, K, groups, W), and memory for its s rows."""
        first, last = self.groups(a, b)
        edges = [x[:, :, :1]] * (first == 0) + [x] + [x[:, :, -1:]] * (last == self.n + 1)
        x = torch.cat(edges, 2) if len(edges) > 1 else x
        mixed = self.scratch.take("mixed", *x.shape[:2], last - first, self.stride, x.shape[-1])
        return x[:, :, :-1], x[:, :, 1:], mixed

    def inside(self, mixed: Tensor, a: int, b: int) -> Tensor:
        """Return rows a:b of whole groups."""
        start = a - (self.groups(a, b)[0] * self.stride - self.before)
        return mixed.flatten(2, 3)[:, :, start : start + b - a]

    def adjoint(self, gradient: Tensor, a: int, b: int) -> Tensor:
        first, last = self.groups(a, b)
        above = a - (first * self.stride - self.before)
        below = (last - first) * self.stride - above - (b - a)
        if above or below:
            gradient = torch.nn.functional.pad(gradient, (0, 0, above, below))
        groups = gradient.unflatten(2, (-1, self.stride))
        shares = self.scratch.take("shares", *groups.shape[:3], 2, groups.shape[-1])
        torch.matmul(self.taps, groups, out=shares)
        upper, lower = shares.unbind(3)  # what each group gives to the row above it and to the row below
        out = self.scratch.take("out", *groups.shape[:2], last - first + 1, groups.shape[-1])
        torch.add(upper[:, :, 1:], lower[:, :, :-1], out=out[:, :, 1:-1])
        out[:, :, 0] = upper[:, :, 0]
        out[:, :, -1] = lower[:, :, -1]
        # The doubled edges go back to the rows that they copy.
        if first == 0:
            out[:, :, 1] += out[:, :, 0]
            out = out[:, :, 1:]
        if last == self.n + 1:
            out[:, :, -2] += out[:, :, -1]
            out = out[:, :, :-1]
        return out


class MatrixRows:
    """Any other ratio: two gathered rows to mix, and a matrix for the way back."""

    def __init__(self, source: int, size: int, align_corners: bool, scratch: Scratch) -> None:
        self.size, self.scratch = size, scratch
        self.lower, self.upper, distance = row_taps(source, size, align_corners, scratch.dtype)
        self.index = torch.tensor([self.lower, self.upper], device=scratch.device)
        self.distance = torch.tensor(distance, dtype=scratch.dtype, device=scratch.device)[:, None]
        self.matrix = stored_matrix(source, size, align_corners, scratch.dtype, scratch.device)

    def bands(self, most: int) -> list[tuple[int, int]]:
        return [(a, min(a + most, self.size)) for a in range(0, self.size, most)]

    def source(self, a: int, b: int) -> tuple[int, int]:
        return self.lower[a], self.upper[b - 1] + 1

    def mix(self, x: Tensor, a: int, b: int) -> Tensor:
        lower, upper = self.scratch.take("mixed", 2, *x.shape[:2], b - a, x.shape[-1])
        torch.index_select(x, 2, self.index[0, a:b] - self.lower[a], out=lower)
        torch.index_select(x, 2, self.index[1, a:b] - self.lower[a], out=upper)
        return lower.lerp_(upper, self.distance[a:b])

    def exponentials(self, x: Tensor, a: int, b: int) -> Tensor:
        return self.mix(x, a, b).exp_()

    def adjoint(self, gradient: Tensor, a: int, b: int) -> Tensor:
        p, q = self.source(a, b)
        return torch.matmul(self.matrix[a:b, p:q].t(), gradient)


class BlockColumns:
    """W = s w without aligned corners: one small matrix mixes blocks of columns, the edges doubled as for rows."""

    def __init__(self, source: int, size: int, align_corners: bool, scratch: Scratch) -> None:
        del align_corners
        self.width, self.scratch = block_width(source), scratch
        self.matrix = block_matrix(self.width, size // source, scratch.dtype, scratch.device)  # (block + 2, s block)

    def mix(self, x: Tensor) -> Tensor:
        padded = torch.cat([x[..., :1], x, x[..., -1:]], -1)
        windows = padded.unfold(-1, self.width + 2, self.width).reshape(-1, self.width + 2)
        mixed = self.scratch.take("columns", len(windows), self.matrix.shape[1])
        return torch.mm(windows, self.matrix, out=mixed).view(*x.shape[:-1], -1)

    def adjoint(self, gradient: Tensor) -> Tensor:
        blocks = gradient.reshape(-1, self.matrix.shape[1])
        shares = torch.mm(blocks, self.matrix.t()).view(*gradient.shape[:-1], -1, self.width + 2)
        out = shares[..., 1:-1].contiguous()
        out[..., :-1, -1] += shares[..., 1:, 0]
        out[..., 1:, 0] += shares[..., :-1, -1]
        out[..., 0, 0] += shares[..., 0, 0]
        out[..., -1, -1] += shares[..., -1, -1]
        return out.flatten(-2)


class MatrixColumns:
    """Any other ratio: one matrix."""

    def __init__(self, source: int, size: int, align_corners: bool, scratch: Scratch) -> None:
        self.matrix = stored_matrix(source, size, align_corners, scratch.dtype, scratch.device)

    def mix(self, x: Tensor) -> Tensor:
        return torch.matmul(x, self.matrix.t())

    def adjoint(self, gradient: Tensor) -> Tensor:
        return torch.matmul(gradient, self.matrix)


def _strided(source: int, size: int, align_corners: bool) -> bool:
    return not align_corners and size % source == 0


def _distances(stride: int, scratch: Scratch) -> Tensor:
    """Distance of each of the rows between two coarse ones is from the first, in coarse rows."""
    return (torch.arange(stride, dtype=scratch.dtype, device=scratch.device) + (0.5 if stride % 2 == 0 else 0)) / stride


def block_width(source: int) -> int:
    """Return the largest divisor of the width that is at most `BLOCK`."""
    return max(n for n in range(1, BLOCK + 1) if source % n == 0)


def row_taps(
    source: int, size: int, align_corners: bool, dtype: torch.dtype
) -> tuple[list[int], list[int], list[float]]:
    """Return the two coarse rows that each enlarged row mixes and the share of the second, as lists on the host."""
    first, second, share = taps(positions(torch.arange(size, dtype=dtype), source, size, align_corners), source)
    return first.tolist(), second.tolist(), share.tolist()


@lru_cache(maxsize=32)
def block_matrix(width: int, stride: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return the shares of a block and its two neighbours in its enlarged columns, (width + 2, stride * width)."""
    whole = stored_matrix(width + 2, stride * (width + 2), False, dtype, device)
    return whole[stride : stride * (width + 1)].t().contiguous()
