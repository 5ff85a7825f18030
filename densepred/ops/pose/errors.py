"""How far found joints are from true ones, person by person.

T true and P found people of K joints (x, y, visibility or confidence); a joint is labelled, or found, where the third
is more than 0.
"""

from __future__ import annotations

import torch
from torch import Tensor


def errors(found: Tensor, truth: Tensor, mates: Tensor) -> Tensor:
    """Distances (T, K) in float64 of (P, K, 3) from (T, K, 3): infinite where a joint or the person was not found,
    NaN where nobody labelled it. `mates` (T,) says who is whom, -1 for nobody."""
    if not len(found):
        found, mates = truth.new_zeros(1, *truth.shape[1:]), torch.zeros_like(mates)
    mine = found[mates.clamp_min(0)]
    distance = (mine[..., :2].double() - truth[..., :2].double()).norm(dim=-1)
    missed = ~(mine[..., 2] > 0) | (mates < 0)[:, None] | distance.isnan()  # numbers that are none found nothing
    return distance.masked_fill(missed, torch.inf).masked_fill(truth[..., 2] <= 0, torch.nan)


def nearest(found: Tensor, truth: Tensor) -> Tensor:
    """Who of (P, K, 3) is who of (T, K, 3), one to one, nearest first: (T,), -1 for nobody.

    Near is the mean over the labelled joints of the distance in lengths of the person, the longer side of the box of
    his labelled joints. A joint that is farther than that, or missing, counts 1; who has no joint nearer is nobody.
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
    """The longer side of the box of each one's labelled joints, (T,) float64; 0 where there are none."""
    labelled = people[..., 2:] > 0
    points = people[..., :2].double()
    low = points.masked_fill(~labelled, torch.inf).amin(1)
    high = points.masked_fill(~labelled, -torch.inf).amax(1)
    return (high - low).amax(1).clamp_min(0)


def between(people: Tensor, first: int, second: int) -> Tensor:
    """The distance of two joints of each one, (T,) float64; NaN where one of them is not labelled."""
    a, b = people[:, first], people[:, second]
    distance = (a[:, :2].double() - b[:, :2].double()).norm(dim=-1)
    return distance.masked_fill((a[:, 2] <= 0) | (b[:, 2] <= 0), torch.nan)
