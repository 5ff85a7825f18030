"""Nearest known pixels against comparing with all. Distances to boundaries are tested with their loss."""

from __future__ import annotations

import math

import pytest
import torch

from densepred.ops.regions.distance_maps import nearest_known


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
