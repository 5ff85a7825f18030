"""Bilinear taps against a loop in exact fractions, and against torch's interpolation and scipy's."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import ndimage

from densepred.ops.resize.taps import interpolation_matrix, mix, positions, stored_matrix, taps

SIZES = [(5, 13), (13, 5), (4, 8), (7, 7), (1, 6), (6, 1), (3, 40)]


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize(("source", "size"), SIZES)
def test_neighbours_and_shares_are_those_of_a_loop_in_fractions(source: int, size: int, align_corners: bool) -> None:
    found = taps(positions(torch.arange(size, dtype=torch.float64), source, size, align_corners), source)
    for i, (first, second, share) in enumerate(zip(*(part.tolist() for part in found), strict=True)):
        if align_corners:
            place = Fraction(i * (source - 1), max(size - 1, 1))
        else:
            place = Fraction((2 * i + 1) * source, 2 * size) - Fraction(1, 2)
        place = min(max(place, Fraction(0)), Fraction(source - 1))
        assert 0 <= first <= second <= min(first + 1, source - 1)
        # Rounding may put a position on either side of a cell; the value that it reads is the same.
        assert (1 - share) * first + share * second == pytest.approx(float(place), abs=1e-12)
        assert second == min(first + 1, source - 1)
        assert abs(first - math.floor(place)) <= (place.denominator == 1)


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("size", [(17, 9), (5, 31), (1, 1)])
def test_a_grid_of_positions_is_read_as_torch_interpolates(size: tuple[int, int], align_corners: bool) -> None:
    maps = torch.rand(1, 3, 6, 11, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rows = taps(positions(torch.arange(size[0])[:, None].double(), 6, size[0], align_corners), 6)
    columns = taps(positions(torch.arange(size[1])[None].double(), 11, size[1], align_corners), 11)
    start = torch.arange(3)[:, None, None] * 66
    found = mix(maps.flatten(), start, 11, rows, columns)
    expected = F.interpolate(maps, size, mode="bilinear", align_corners=align_corners)[0]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_vectors_at_scattered_positions_inside_and_outside_are_scipys() -> None:
    generator = torch.Generator().manual_seed(1)
    maps = torch.rand(2, 5, 8, 2, generator=generator, dtype=torch.float64)  # two maps of 5 x 8 vectors
    x = torch.rand(200, generator=generator, dtype=torch.float64) * 12 - 2
    y = torch.rand(200, generator=generator, dtype=torch.float64) * 9 - 2
    which = torch.randint(2, (200,), generator=generator)
    found = mix(maps.view(-1, 2), which * 40, 8, taps(y, 5), taps(x, 8))
    for number in range(2):
        mine = (which == number).numpy()
        places = np.stack([y.numpy()[mine], x.numpy()[mine]])
        for part in range(2):
            expected = ndimage.map_coordinates(maps[number, ..., part].numpy(), places, order=1, mode="nearest")
            np.testing.assert_allclose(found[mine, part].numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize(("source", "size"), SIZES)
def test_the_matrix_is_that_of_torchs_interpolation(source: int, size: int, align_corners: bool) -> None:
    kind = (torch.float64, torch.device("cpu"))
    unit = torch.eye(source, dtype=torch.float64)[None]
    want = F.interpolate(unit, size, mode="linear", align_corners=align_corners)[0].T
    torch.testing.assert_close(interpolation_matrix(source, size, align_corners, *kind), want, rtol=0, atol=1e-12)
    assert torch.equal(
        stored_matrix(source, size, align_corners, *kind), interpolation_matrix(source, size, align_corners, *kind)
    )
