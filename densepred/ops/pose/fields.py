"""Part affinity fields (arXiv 1611.08050): the direction of each limb, drawn and integrated.

L limbs, N limbs of people to draw, P pairs of points to integrate between, maps of h x w. Points are x and y in
locations of the maps.
"""

from __future__ import annotations

import torch
from torch import Tensor

from densepred.ops.resize.taps import mix, taps

FEWEST, MOST = 5, 25  # samples on the line between two points
PROBES = 4  # samples that are tried first
ROUNDING = 1e-4
SHORTEST = 1e-3  # locations; a shorter limb has no direction
CHUNK = 2**15
"""Pairs with samples in memory at the same time: some 100 MB."""


def part_affinity_fields(
    starts: Tensor, ends: Tensor, limbs: Tensor, count: int, size: tuple[int, int], width: float = 1.0
) -> Tensor:
    """Draw the unit vector from start to end on the locations of each limb: (2 count, h, w) float32, x and y per field.

    If limbs of one kind overlap, the field is the mean of their vectors.

    starts, ends: (N, 2)
    limbs: (N,) int64, the field from 0 to count - 1 that each limb is drawn on.
    size: (h, w) of the fields.
    width: the largest distance of a limb's location from its line, and from its upright box. A limb shorter than one
        location therefore has locations too, and interpolation near its ends meets no zeros.
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
    # List every location of every box, one after the other: boxes differ too much in size for a common window.
    limb = torch.repeat_interleave(areas)
    inner = torch.arange(len(limb), device=starts.device) - (areas.cumsum(0) - areas)[limb]
    x, y = low[limb, 0] + inner % wide[limb], low[limb, 1] + inner // wide[limb]
    unit = (ends - starts)[limb] / length[limb, None]
    across = (x - starts[limb, 0]) * unit[:, 1] - (y - starts[limb, 1]) * unit[:, 0]
    on = (across.abs() <= width).float()
    index = (limbs[limb] * height + y) * columns + x
    number.index_add_(0, index, on)
    total.index_add_(1, index, (unit * on[:, None]).T.contiguous())
    mean = total / number.clamp_min(1)
    return mean.view(2, count, height, columns).transpose(0, 1).reshape(2 * count, height, columns)


def line_integrals(
    paf: Tensor, starts: Tensor, ends: Tensor, limbs: Tensor, stride: float, threshold: float, ratio: float
) -> Tensor:
    """Return the line integral of a field between pairs of points, (P,) float32; 0 if too few samples agree.

    By the rules of the authors' program, points d input pixels apart (the larger of x and y) have sqrt(5 d) samples.
    These are 5 to 25, from the start on and short of the end; each is the dot product of field and direction. The score
    is the mean of those above `threshold`, if their share is more than `ratio`.

    paf: (2 L, h, w)
    starts, ends: (P, 2)
    limbs: (P,) int64, the field of each pair.
    stride: input pixels per location.
    """
    height, width = paf.shape[-2:]
    vectors = paf.view(-1, 2, height * width).transpose(1, 2).reshape(-1, 2)  # x and y side by side share a cache line
    scores = starts.new_zeros(len(starts))
    for part in torch.arange(len(starts), device=starts.device).split(CHUNK):
        line = ends[part] - starts[part]
        samples = (5 * stride * line.abs().amax(1)).sqrt().round().clamp(FEWEST, MOST)
        # Sort out most pairs by a few samples: more of these fail than may fail in all.
        few = (samples[:, None] * torch.arange(1, PROBES + 1, device=paf.device) / (PROBES + 1)).floor()
        failed = _dots(vectors, (height, width), starts[part], line, limbs[part], few / samples[:, None]) <= threshold
        left = (failed.sum(1) < samples * (1 - ratio) + ROUNDING).nonzero()[:, 0]
        part, line, samples = part[left], line[left], samples[left]
        steps = torch.arange(MOST, device=paf.device)
        dots = _dots(vectors, (height, width), starts[part], line, limbs[part], steps / samples[:, None])
        passed = (dots > threshold) & (steps < samples[:, None])
        hits = passed.sum(1)
        mean = torch.where(passed, dots, 0).sum(1) / hits.clamp_min(1)
        scores[part] = torch.where(hits / samples > ratio, mean, 0)
    return scores


def _dots(
    vectors: Tensor, size: tuple[int, int], starts: Tensor, lines: Tensor, limbs: Tensor, shares: Tensor
) -> Tensor:
    """Return the dot products of fields (L h w, 2) and directions of lines (P, 2) at shares (P, S) of their lengths."""
    points = starts[:, None] + lines[:, None] * shares[..., None]
    unit = lines / lines.norm(dim=1, keepdim=True).clamp_min(SHORTEST)
    height, width = size
    rows, columns = taps(points[..., 1], height), taps(points[..., 0], width)
    mixed = mix(vectors, limbs[:, None] * (height * width), width, rows, columns)
    return (mixed * unit[:, None]).sum(-1)
