"""Border weights against the definition: every pixel, every cell, every pixel of the cell."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from densepred.ops.regions.border import NEGLIGIBLE, border_weight, reach, two_nearest


def slow(cells: Tensor, w0: float, sigma: float) -> Tensor:
    out = torch.zeros(cells.shape, dtype=torch.float64)
    places = [torch.nonzero(cells == number).double() for number in cells.unique().tolist() if number > 0]
    for y in range(cells.shape[0]):
        for x in range(cells.shape[1]):
            here = torch.tensor([y, x], dtype=torch.float64)
            distances = sorted((place - here).square().sum(1).min().sqrt().item() for place in places)
            if cells[y, x] == 0 and len(distances) > 1:
                out[y, x] = w0 * math.exp(-((distances[0] + distances[1]) ** 2) / (2 * sigma**2))
    return out


def drawn(size: tuple[int, int], count: int, seed: int) -> Tensor:
    """Rectangles, some of which touch or hide others; not every number occurs."""
    draw, cells = np.random.default_rng(seed), np.zeros(size, np.int32)
    for number in range(1, count + 1):
        top, left = draw.integers(0, size[0]), draw.integers(0, size[1])
        cells[top : top + draw.integers(1, 9), left : left + draw.integers(1, 9)] = number
    return torch.from_numpy(cells)


@pytest.mark.parametrize(
    ("size", "count", "w0", "sigma"),
    [
        ((37, 45), 12, 10.0, 5.0),
        ((20, 21), 3, 3.0, 0.7),
        ((1, 60), 6, 100.0, 2.0),
        ((30, 17), 40, 10.0, 5.0),
        ((60, 1), 9, 3.0, 2.0),
    ],
)
def test_weights_are_as_defined(size: tuple[int, int], count: int, w0: float, sigma: float) -> None:
    cells = drawn(size, count, count)
    have, want = border_weight(cells, w0, sigma), slow(cells, w0, sigma)
    assert have.dtype == torch.float32
    assert (have.double() - want).abs().max() <= NEGLIGIBLE * (1 + want.max())
    assert not have[cells > 0].any()
    assert sigma < 5 or want.max() > 0.1


def test_windows_leave_out_only_what_does_not_matter() -> None:
    """Small windows: where the second cell is within the radius both distances are exact, elsewhere it stays beyond."""
    cells = drawn((40, 40), 15, 3).numpy()
    for radius in (0, 3, 8):
        first, second = two_nearest(cells, radius)
        true_first, true_second = two_nearest(cells, 100)
        near = true_second <= radius
        assert np.array_equal(second[near], true_second[near])
        assert np.array_equal(first[near], true_first[near])
        assert (second[~near] > radius).all()
        assert radius < 8 or near.any()
    for w0, sigma in ((10, 5), (1e-3, 2), (1e6, 30), (0, 1)):
        assert w0 * math.exp(-(reach(w0, sigma) ** 2) / (2 * sigma**2)) <= NEGLIGIBLE * 1.0001


def test_one_cell_or_none_has_no_neighbour() -> None:
    cells = torch.zeros(9, 9, dtype=torch.int32)
    assert not border_weight(cells, 10, 5).any()
    cells[3, 4] = 7
    assert not border_weight(cells, 10, 5).any()


def test_a_gap_of_one_pixel_has_nearly_the_full_weight() -> None:
    cells = torch.tensor([[1, 1, 0, 2, 2]], dtype=torch.int32)
    assert border_weight(cells, 10, 5)[0, 2].item() == pytest.approx(10 * math.exp(-4 / 50))
