"""Nearest known pixels and distances to boundaries against comparing with all."""

from __future__ import annotations

import math

import pytest
import torch

from densepred.ops.regions.distance_maps import nearest_known, signed_distances
from densepred.types import VOID


def test_the_nearest_known_pixel_is_that_of_a_loop() -> None:
    known = torch.rand(3, 9, 11, generator=torch.Generator().manual_seed(0)) < 0.15
    known[1] = False
    known[2] = True
    found = nearest_known(known)
    own = torch.arange(99).view(9, 11)
    assert torch.equal(found[1], own)
    assert torch.equal(found[2], own)
    places = known[0].nonzero().float()
    for y in range(9):
        for x in range(11):
            index = int(found[0, y, x])
            assert known[0, index // 11, index % 11]
            least = torch.hypot(places[:, 0] - y, places[:, 1] - x).amin()
            assert math.hypot(index // 11 - y, index % 11 - x) == pytest.approx(least.item())


def test_distances_to_a_boundary_are_those_to_the_nearest_pixel_across_it_less_half_a_pixel() -> None:
    labels = torch.randint(0, 3, (7, 9), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    labels[0, :3] = VOID
    found = signed_distances(labels, 4)
    places = [(y, x, int(labels[y, x])) for y in range(7) for x in range(9) if labels[y, x] != VOID]
    for k in range(3):
        for y, x, own in places:
            across = min(math.hypot(y - v, x - u) for v, u, other in places if (other == k) != (own == k))
            assert found[k, y, x].item() == pytest.approx((0.5 - across) if own == k else (across - 0.5), abs=1e-2)
    assert not found[:, labels == VOID].any()
    assert not found[3].any()
    assert not signed_distances(torch.ones(3, 4, dtype=torch.uint8), 2).any()
