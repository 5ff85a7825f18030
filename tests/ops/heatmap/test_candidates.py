"""Peaks between cells: exact on clean Gaussians, also at the border."""

from __future__ import annotations

import pytest
import torch

from densepred.ops.heatmap.candidates import candidates
from densepred.ops.heatmap.gaussian import heatmaps


@pytest.mark.parametrize("sigma", [0.875, 1.75])
def test_joints_are_found_between_cells_and_up_to_half_a_cell_outside(sigma: float) -> None:
    generator = torch.Generator().manual_seed(0)
    corner, far = torch.tensor([-0.45, -0.45]), torch.tensor([20.45, 14.45])
    points = torch.cat([corner + (far - corner) * torch.rand(60, 2, generator=generator), corner[None], far[None]])
    points[:10, 0] = -0.3
    heat = heatmaps(points, torch.arange(62), 62, (15, 21), sigma)
    (found,) = candidates(heat[None], 4, 0.05, sigma)
    assert found.kinds.tolist() == list(range(62))
    assert (found.points - points).abs().max() < 1e-3
    assert (found.scores > 0.6).all()


def test_every_image_has_joints_of_its_own_and_an_empty_one_has_none() -> None:
    heat = torch.zeros(2, 3, 9, 11)
    heat[1, 2] = heatmaps(torch.tensor([[2.2, 6.7], [8.0, 2.5]]), torch.zeros(2, dtype=torch.long), 1, (9, 11), 1.0)[0]
    none, two = candidates(heat, 10, 0.05, 1.0)
    assert none.points.shape == (0, 2)
    assert two.kinds.tolist() == [2, 2]
    assert (two.points - torch.tensor([[2.2, 6.7], [8.0, 2.5]])).abs().max() < 1e-3


def test_maps_of_a_cell_or_a_row_and_negative_heat_are_read() -> None:
    (one,) = candidates(torch.ones(1, 1, 1, 1), 5, 0.05, 1.0)
    assert one.points.tolist() == [[0, 0]]
    heat = torch.full((1, 1, 1, 7), -1.0)
    heat[..., 3] = 0.5
    (row,) = candidates(heat, 5, 0.05, 1.0)
    assert row.points.tolist() == [[3, 0]]


def test_only_the_most_sure_are_tried() -> None:
    heat = torch.zeros(1, 1, 9, 11)
    heat[0, 0, ::2, ::2] = torch.arange(30.0).view(5, 6) + 1
    (found,) = candidates(heat, 4, 0.05, 1.0)
    assert found.scores.tolist() == [30, 29, 28, 27]
