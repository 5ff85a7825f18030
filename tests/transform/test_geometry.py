"""Affine, elastic, flip and resize draw the moves they promise."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Generator

from densepred.ops.geometry.warp import IDENTITY, Matrix, determinant, invert
from densepred.transform.affine import Affine
from densepred.transform.elastic import Elastic
from densepred.transform.flip import Flip
from densepred.transform.resize import Resize
from densepred.types import UserError


def at(matrix: Matrix, x: float, y: float) -> tuple[float, float]:
    (a, b, c), (d, e, f) = matrix
    return a * x + b * y + c, d * x + e * y + f


def test_a_rotation_keeps_the_center_and_lengths() -> None:
    generator = Generator().manual_seed(0)
    angles = []
    for _ in range(200):
        matrix = invert(Affine(rotate=30).params((37, 45), generator).matrix)
        assert at(matrix, 22, 18) == pytest.approx((22, 18))
        assert determinant(matrix) == pytest.approx(1)
        angles.append(math.degrees(math.atan2(matrix[1][0], matrix[0][0])))
    assert -30 <= min(angles) < -25
    assert 25 < max(angles) <= 30


def test_scale_and_shift_stay_in_their_ranges() -> None:
    generator = Generator().manual_seed(0)
    for _ in range(100):
        matrix = invert(Affine(rotate=0, low=0.8, high=1.25, shift=0.1).params((100, 200), generator).matrix)
        assert 0.64 - 1e-9 <= determinant(matrix) <= 1.5625 + 1e-9
        x, y = at(matrix, 99.5, 49.5)
        assert abs(x - 99.5) <= 20 + 1e-6
        assert abs(y - 49.5) <= 10 + 1e-6


def test_elastic_knots_have_the_spread_asked_for() -> None:
    generator = Generator().manual_seed(0)
    flows = [Elastic(sigma=4.0).params((37, 45), generator).flow for _ in range(300)]
    corners = torch.stack([flow[:, 0, 0] for flow in flows if flow is not None])
    assert abs(float(corners.std()) - 4) < 0.4
    assert abs(float(corners.mean())) < 0.5


@pytest.mark.parametrize("transform", [Affine(p=0.0), Elastic(p=0.0), Flip(0.0, 0.0), Resize(None)])
def test_with_probability_0_nothing_moves(transform: Affine) -> None:
    warp = transform.params((37, 45), Generator().manual_seed(0))
    assert warp.matrix == IDENTITY
    assert warp.flow is None
    assert warp.size == (37, 45)


def test_resize_takes_a_size_or_the_length_of_the_shorter_side() -> None:
    assert Resize([10, 20]).params((37, 45), Generator()).size == (10, 20)
    assert Resize(20).params((40, 60), Generator()).size == (20, 30)
    assert Resize(20).params((60, 40), Generator()).size == (30, 20)


def test_resize_takes_the_length_of_the_longer_side_or_its_limit() -> None:
    assert Resize(None, longest=32).params((48, 64), Generator()).size == (24, 32)
    assert Resize(None, longest=32).params((8, 4), Generator()).size == (32, 16)
    assert Resize(20, longest=100).params((40, 60), Generator()).size == (20, 30)
    assert Resize(20, longest=24).params((40, 60), Generator()).size == (16, 24)


def test_a_side_that_would_vanish_is_one_pixel() -> None:
    assert Resize(None, longest=10).params((3, 400), Generator()).size == (1, 10)
    assert Resize(None, longest=10).params((400, 3), Generator()).size == (10, 1)


def test_impossible_settings_are_refused() -> None:
    for make in (lambda: Affine(low=0), lambda: Elastic(knots=1), lambda: Resize([0, 3]), lambda: Resize([1, 2, 3])):
        with pytest.raises(UserError, match="give"):
            make()


def test_elastic_displacements_are_bicubic_between_the_knots() -> None:
    """Keys' cubic with a = -0.75, the knots on the corners and in the middle, the outermost repeated."""
    drawn = Elastic(sigma=10.0, knots=3).params((9, 13), Generator().manual_seed(1)).flow
    assert drawn is not None
    knots = drawn[:, ::4, ::6]
    assert 3 < float(knots.std()) < 20

    def tap(x: float) -> float:
        x, a = abs(x), -0.75
        if x <= 1:
            return (a + 2) * x**3 - (a + 3) * x**2 + 1
        return a * (x**3 - 5 * x**2 + 8 * x - 4) if x < 2 else 0.0

    for y, x in ((0, 3), (5, 1), (7, 11), (4, 6)):
        want = torch.zeros(2)
        for i in range(-2, 5):
            for j in range(-2, 5):
                want += tap(y / 4 - i) * tap(x / 6 - j) * knots[:, min(max(i, 0), 2), min(max(j, 0), 2)]
        assert torch.allclose(drawn[:, y, x], want, atol=1e-4)
