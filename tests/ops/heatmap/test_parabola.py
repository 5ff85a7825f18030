"""Tops of parabolas against Gaussians drawn at known places."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from densepred.ops.heatmap.parabola import offsets, top

YES, NO = torch.tensor([True]), torch.tensor([False])


def gaussian(x: float, y: float, size: tuple[int, int], sigma: float) -> Tensor:
    rows, columns = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in size), indexing="ij")
    return torch.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2)).float()[None]


@pytest.mark.parametrize(("x", "y"), [(5.3, 3.8), (5.0, 4.0), (4.6, 4.45)])
def test_the_top_of_a_gaussian_is_found_between_locations(x: float, y: float) -> None:
    column, row = round(x), round(y)
    found = offsets(gaussian(x, y, (9, 11), 1.5), *(torch.tensor([n]) for n in (0, column, row)), sigma=1.5)
    assert found[0].tolist() == pytest.approx([x - column, y - row], abs=1e-4)


@pytest.mark.parametrize(("x", "y"), [(-0.3, 3.2), (10.2, 8.4), (0.25, -0.4)])
def test_beyond_the_border_the_width_of_the_gaussian_stands_in_for_the_neighbour(x: float, y: float) -> None:
    column, row = min(max(round(x), 0), 10), min(max(round(y), 0), 8)
    found = offsets(gaussian(x, y, (9, 11), 1.2), *(torch.tensor([n]) for n in (0, column, row)), sigma=1.2)
    assert found[0].tolist() == pytest.approx([x - column, y - row], abs=1e-4)


def test_a_flat_or_upward_bend_has_no_top_and_far_tops_are_clamped() -> None:
    flat = top(torch.tensor([1.0]), torch.tensor([1.0]), torch.tensor([1.0]), NO, NO, 1.0)
    hollow = top(torch.tensor([2.0]), torch.tensor([1.0]), torch.tensor([2.0]), NO, NO, 1.0)
    slanted = top(torch.tensor([0.0]), torch.tensor([1.0]), torch.tensor([1.9]), NO, NO, 1.0)
    assert (flat.item(), hollow.item(), slanted.item()) == (0.0, 0.0, 0.5)


def test_a_map_of_one_location_keeps_its_peak() -> None:
    """Both neighbours lie beyond the border and equal the location itself."""
    one = torch.tensor([0.4])
    assert top(one, one, one, YES, YES, 1.0).item() == 0.0
