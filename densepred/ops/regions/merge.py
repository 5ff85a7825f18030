"""Grouping of pixels around centers to segments, as in Panoptic-DeepLab (arXiv 1911.10194).

K centers, C classes, M pixels of things, H x W pixels.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from densepred.ops.precise import exact
from densepred.ops.regions.nearest_center import nearest_center
from densepred.ops.regions.pair_counts import pair_table
from densepred.ops.resize.taps import mix, positions, taps
from densepred.types import VOID


class Segments(NamedTuple):
    """Segments of an image; N instances, in the order of their centers."""

    semantic: Tensor  # (H, W) uint8: the class of each pixel's segment, VOID where there is none
    instances: Tensor  # (H, W) int32, i + 1 for the i-th
    categories: Tensor  # (N,) int64
    centers: Tensor  # (N,) int64: the index of the center of each


def merge(
    labels: Tensor, offset: Tensor, centers: Tensor, things: Tensor, thing_area: float, stuff_area: float
) -> Segments:
    """Group the pixels of things around centers and keep the stuff around them.

    labels: (H, W) uint8 class map
    offset: (2, H, W) float, x and y in pixels from each pixel to the center of its instance
    centers: (K, 2) x and y
    things: (256,) bool, True for labels that come in instances

    A pixel belongs to the center nearest to its own position plus its offset. The class of an instance is that of most
    of its pixels, the first of equal ones. Instances of fewer than `thing_area` pixels and stuff classes of fewer than
    `stuff_area` become void; without centers all things do.
    """
    device, width = labels.device, labels.shape[1]
    flat = labels.flatten()
    index = things.index_select(0, flat.int()).nonzero()[:, 0]
    semantic = stuff(flat, things, stuff_area)
    instances = torch.zeros(len(flat), dtype=torch.int32, device=device)
    if len(centers) == 0:
        none = torch.zeros(0, dtype=torch.int64, device=device)
        return Segments(semantic.view(labels.shape), instances.view(labels.shape), none, none)
    x, y = offset.reshape(2, -1).index_select(1, index)
    x.add_(index % width)
    y.add_(torch.div(index, width, rounding_mode="floor"))
    group = nearest_center(x, y, centers, (labels.shape[0], width))
    own = flat.index_select(0, index)
    votes = pair_table(group, own, len(centers), VOID + 1)
    areas, categories = votes.sum(1), votes.argmax(1)
    kept = (areas > 0) & (areas >= thing_area)
    classes = categories.masked_fill(~kept, VOID).to(torch.uint8)
    numbers = (kept.cumsum(0) * kept).int()
    semantic[index] = classes.index_select(0, group)
    instances[index] = numbers.index_select(0, group)
    found = kept.nonzero()[:, 0]
    return Segments(semantic.view(labels.shape), instances.view(labels.shape), categories[found], found)


def stuff(labels: Tensor, things: Tensor, least: float) -> Tensor:
    """Copy a class map (M,), with VOID for things and for classes of fewer than `least` pixels."""
    areas = torch.bincount(labels, minlength=VOID + 1)
    kept = torch.arange(VOID + 1, dtype=torch.uint8, device=labels.device)
    return kept.masked_fill(things | (areas < least), VOID).index_select(0, labels.int())


def without_unsure(segments: Segments, logits: Tensor, things: Tensor, least: float, align_corners: bool) -> Segments:
    """Make segments void that have a mean probability of their class below `least`: instances, and classes of stuff.

    logits: (C, h, w) on the model's grid
    things: (256,) bool, true for labels that come in instances

    So do DETR (arXiv 2005.12872) and MaskFormer (arXiv 2107.06278), by the probability of a query: a segment of a wrong
    class costs the panoptic quality more than pixels without a class.
    """
    semantic, ids = segments.semantic, segments.instances
    numbers = torch.arange(VOID + 1, dtype=torch.int32, device=semantic.device).add_(1).masked_fill_(things, 0)
    numbers[VOID] = 0
    owners, classes = numbers[semantic.int()], torch.arange(len(logits), device=semantic.device)
    unsure = mean_probabilities(logits, owners, classes, align_corners) < least  # false for classes without a pixel
    kept = mean_probabilities(logits, ids, segments.categories, align_corners) >= least
    lost = torch.cat([unsure.new_zeros(1), unsure])[owners] | torch.cat([kept.new_zeros(1), ~kept])[ids]
    numbers = torch.cat([kept.new_zeros(1, dtype=torch.int32), (kept.cumsum(0) * kept).int()])
    chosen = kept.nonzero()[:, 0]
    return Segments(
        semantic.masked_fill(lost, VOID), numbers[ids], segments.categories[chosen], segments.centers[chosen]
    )


def mean_probabilities(logits: Tensor, owners: Tensor, categories: Tensor, align_corners: bool) -> Tensor:
    """Compute the mean probability of its class over the pixels of each of N regions, (N,); NaN for an empty one.

    logits: (C, h, w) on the model's grid
    owners: (H, W) int32, i + 1 for the i-th region, 0 for none
    categories: (N,) int64

    Probabilities are interpolated per pixel and class: the probabilities of all classes are never upsampled.
    """
    count = len(categories)
    y, x = owners.nonzero(as_tuple=True)
    owner = owners[y, x] - 1
    cells = logits.float().softmax(0)
    rows, columns = (
        taps(positions(axis, length, size, align_corners), length)
        for axis, length, size in zip((y, x), cells.shape[1:], owners.shape, strict=True)
    )
    start = categories[owner] * (cells.shape[1] * cells.shape[2])
    each = exact(mix(cells.flatten(), start, cells.shape[2], rows, columns))
    owner, total = owner.to(each.device), each.new_zeros(2, count)
    total[0].index_add_(0, owner, each)
    total[1].index_add_(0, owner, torch.ones_like(each))
    return (total[0] / total[1]).float().to(logits.device)
