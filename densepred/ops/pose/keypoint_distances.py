"""Distances between predicted and labelled keypoints, and the matching of people.

T labelled and P predicted people of K keypoints (x, y, visibility or confidence), in pixels. A keypoint is labelled, or
predicted, if its third value is above 0.
"""

from __future__ import annotations

import torch
from torch import Tensor


def distances(found: Tensor, truth: Tensor, mates: Tensor) -> Tensor:
    """Return the distance of each labelled keypoint from its prediction, (T, K) float64.

    Infinite if the keypoint or the person was not predicted; NaN if the keypoint is not labelled.

    found: (P, K, 3)
    truth: (T, K, 3)
    mates: (T,) int64, the predicted person matched to each labelled one, -1 if unmatched; see `match_people`.
    """
    if not len(found):
        found, mates = truth.new_zeros(1, *truth.shape[1:]), torch.zeros_like(mates)
    mine = found[mates.clamp_min(0)]
    distance = (mine[..., :2].double() - truth[..., :2].double()).norm(dim=-1)
    missed = ~(mine[..., 2] > 0) | (mates < 0)[:, None] | distance.isnan()  # NaN counts as not predicted
    return distance.masked_fill(missed, torch.inf).masked_fill(truth[..., 2] <= 0, torch.nan)


def match_people(found: Tensor, truth: Tensor) -> Tensor:
    """Match predicted people (P, K, 3) to labelled people (T, K, 3) one to one, nearest first: (T,), -1 if unmatched.

    The distance of two people is the mean over the labelled keypoints, in units of the person's `span`. A keypoint that
    is farther than one span, or missing, counts 1. People at a distance of 1 are not matched.
    """
    labelled = truth[..., 2] > 0
    lengths = span(truth).clamp_min(1)
    distance = (found[None, :, :, :2].double() - truth[:, None, :, :2].double()).norm(dim=-1)
    missed = ~(found[None, ..., 2] > 0) | distance.isnan()
    far = (distance / lengths[:, None, None]).clamp_max(1).masked_fill(missed, 1)
    cost = (far * labelled[:, None]).sum(-1) / labelled.sum(-1).clamp_min(1)[:, None]
    mates = torch.full((len(truth),), -1)
    for _ in range(min(cost.shape)):
        row, column = divmod(int(cost.argmin()), cost.shape[1])
        if cost[row, column] >= 1:
            break
        mates[row] = column
        cost[row], cost[:, column] = torch.inf, torch.inf
    return mates


def span(people: Tensor) -> Tensor:
    """Return the longer side of the box around each person's labelled keypoints, (T,) float64; 0 if there are none."""
    labelled = people[..., 2:] > 0
    points = people[..., :2].double()
    low = points.masked_fill(~labelled, torch.inf).amin(1)
    high = points.masked_fill(~labelled, -torch.inf).amax(1)
    return (high - low).amax(1).clamp_min(0)


def between(people: Tensor, first: int, second: int) -> Tensor:
    """Return the distance between two keypoints of each person, (T,) float64; NaN if one of them is not labelled."""
    a, b = people[:, first], people[:, second]
    distance = (a[:, :2].double() - b[:, :2].double()).norm(dim=-1)
    return distance.masked_fill((a[:, 2] <= 0) | (b[:, 2] <= 0), torch.nan)
