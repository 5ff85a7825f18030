"""Part affinity fields (arXiv 1611.08050): the direction of each limb, drawn and read.

L limbs, N drawn or P asked-for pairs of points, h x w cells. Points are x and y in cells.
"""

from __future__ import annotations

import torch
from torch import Tensor

from densepred.ops.resize.taps import mix, taps

FEWEST, MOST = 5, 25  # samples on the line between two points
PROBES = 4  # samples that are looked at first
ROUNDING = 1e-4
SHORTEST = 1e-3  # cells; below it a limb has no direction
CHUNK = 2**15
"""Pairs whose samples exist at once: some 100 MB."""


def fields(
    starts: Tensor, ends: Tensor, limbs: Tensor, count: int, size: tuple[int, int], width: float = 1.0
) -> Tensor:
    """Maps (2 count, h, w) float32: x, y of the unit vector from `starts` to `ends` (N, 2) on the cells of each limb.

    limbs: (N,) which of the `count` fields each pair is drawn on.
    width: how far a cell of the limb may be from its line, and beyond its upright box, in cells. So a limb shorter
        than a cell has cells, too, and a line is read near its ends by interpolation.
    Where limbs of one kind overlap the field is the mean of their vectors.
    """
    height, columns = size
    total = torch.zeros(2, count * height * columns, device=starts.device)
    number = torch.zeros(count * height * columns, device=starts.device)
    length = (ends - starts).norm(dim=1)
    low = (torch.minimum(starts, ends) - width).ceil().long()
    high = (torch.maximum(starts, ends) + width).floor().long()
    low = low.clamp_min(0)
    high = torch.minimum(high, torch.tensor([columns - 1, height - 1], device=starts.device))
    wide, tall = (high - low + 1).clamp_min(0).unbind(1)
    areas = wide * tall * (length > SHORTEST)
    # Every cell of every box, one after the other: boxes differ too much in size for a common window.
    limb = torch.repeat_interleave(areas)
    inner = torch.arange(len(limb), device=starts.device) - (areas.cumsum(0) - areas)[limb]
    x, y = low[limb, 0] + inner % wide[limb], low[limb, 1] + inner // wide[limb]
    unit = (ends - starts)[limb] / length[limb, None]
    across = (x - starts[limb, 0]) * unit[:, 1] - (y - starts[limb, 1]) * unit[:, 0]
    on = (across.abs() <= width).float()
    cells = (limbs[limb] * height + y) * columns + x
    number.index_add_(0, cells, on)
    total.index_add_(1, cells, (unit * on[:, None]).T.contiguous())
    mean = total / number.clamp_min(1)
    return mean.view(2, count, height, columns).transpose(0, 1).reshape(2 * count, height, columns)


def integrals(
    paf: Tensor, starts: Tensor, ends: Tensor, limbs: Tensor, stride: float, threshold: float, ratio: float
) -> Tensor:
    """How well a field (2 L, h, w) leads from `starts` to `ends` (P, 2) along `limbs` (P,): (P,), 0 where it does not.

    By the rules of the authors' program: samples are sqrt(5 d), 5 to 25, for points d input pixels apart (the larger
    of x and y; `stride` is that of the cells), from the start on and short of the end. The score is the mean of the
    dot products above `threshold`, where more than `ratio` of them are.
    """
    height, width = paf.shape[-2:]
    cells = paf.view(-1, 2, height * width).transpose(1, 2).reshape(-1, 2)  # x and y side by side are read at once
    scores = starts.new_zeros(len(starts))
    for part in torch.arange(len(starts), device=starts.device).split(CHUNK):
        line = ends[part] - starts[part]
        samples = (5 * stride * line.abs().amax(1)).sqrt().round().clamp(FEWEST, MOST)
        # Most pairs are no limb, which a few of their samples tell: more of them fail than may fail in all.
        few = (samples[:, None] * torch.arange(1, PROBES + 1, device=paf.device) / (PROBES + 1)).floor()
        failed = _dots(cells, (height, width), starts[part], line, limbs[part], few / samples[:, None]) <= threshold
        left = (failed.sum(1) < samples * (1 - ratio) + ROUNDING).nonzero()[:, 0]
        part, line, samples = part[left], line[left], samples[left]
        steps = torch.arange(MOST, device=paf.device)
        dots = _dots(cells, (height, width), starts[part], line, limbs[part], steps / samples[:, None])
        passed = (dots > threshold) & (steps < samples[:, None])
        hits = passed.sum(1)
        mean = torch.where(passed, dots, 0).sum(1) / hits.clamp_min(1)
        scores[part] = torch.where(hits / samples > ratio, mean, 0)
    return scores


def _dots(cells: Tensor, size: tuple[int, int], starts: Tensor, lines: Tensor, limbs: Tensor, shares: Tensor) -> Tensor:
    """Of fields (L h w, 2) with the direction of each line (P, 2), at `shares` (P, S) of its length: (P, S)."""
    points = starts[:, None] + lines[:, None] * shares[..., None]
    unit = lines / lines.norm(dim=1, keepdim=True).clamp_min(SHORTEST)
    height, width = size
    rows, columns = taps(points[..., 1], height), taps(points[..., 0], width)
    vectors = mix(cells, limbs[:, None] * (height * width), width, rows, columns)
    return (vectors * unit[:, None]).sum(-1)
