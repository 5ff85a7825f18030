"""Joints between cells. The expected numbers are those of mmpose 1.3.2 and of the official HRNet, for the same maps."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from densepred.ops.heatmap.gaussian import heatmaps
from densepred.ops.heatmap.subpixel import blurred, dark, highest, quarter, udp


def maps() -> Tensor:
    """(1, 5, 24, 18): two hills on a wave each, and a spike near the border."""
    y, x = torch.meshgrid(torch.arange(24.0).double(), torch.arange(18.0).double(), indexing="ij")

    def scene(k: int) -> Tensor:
        high = torch.exp(-((x - (4.3 + 2 * k)) ** 2 + (y - (9.6 + 1.5 * k)) ** 2) / 8)
        low = 0.6 * torch.exp(-((x - (12.1 - k)) ** 2 + (y - (5.2 + 3 * k)) ** 2) / 10)
        return (high + low + 0.03 * torch.cos(1.3 * x + 0.7 * y * (k + 1))).float()

    spike = scene(5).flip(1)
    spike[:3], spike[1, 15] = 0, 1.2
    return torch.stack([*map(scene, range(4)), spike])[None]


QUARTER = [[4.25, 9.75], [6.75, 11.25], [8.75, 12.25], [9.75, 14.25], [15.0, 1.0]]
DARK = [[4.3635, 9.5724], [7.0497, 10.6580], [8.9408, 12.1019], [9.8568, 14.1368], [15.0, 1.0]]
UDP = [[4.3600, 9.5734], [7.0473, 10.6594], [8.9407, 12.1019], [9.8568, 14.1368], [15.0155, 1.0035]]


def test_the_published_programs_find_the_same_places() -> None:
    heat = maps()
    _, cells = highest(heat)
    assert cells.tolist() == [[[4.0, 10.0], [7.0, 11.0], [9.0, 12.0], [10.0, 14.0], [15.0, 1.0]]]
    for found, expected in (
        (quarter(heat, cells), QUARTER),
        (dark(heat, cells, 11), DARK),
        (udp(heat, cells, 11), UDP),
    ):
        torch.testing.assert_close(found[0], torch.tensor(expected), atol=2e-4, rtol=0)


def test_a_blur_keeps_the_highest_value_and_flattens_by_its_variance() -> None:
    heat = heatmaps(torch.tensor([[24.0, 32.0]]), torch.tensor([0]), 1, (64, 48), 2.0, reach=8)[None]
    soft = blurred(heat, 11)
    assert float(soft.max()) == pytest.approx(1)
    x = torch.arange(48.0) - 24
    across = soft[0, 0, 32]
    assert float((across * x**2).sum() / across.sum()) == pytest.approx(4 + 4, rel=0.03)


@pytest.mark.parametrize("subpixel", [dark, udp])
@pytest.mark.parametrize(("sigma", "kernel"), [(2.0, 11), (3.0, 17)])
def test_near_the_border_a_map_that_is_not_blurred_is_read_right(subpixel, sigma: float, kernel: int) -> None:
    points = torch.stack([torch.linspace(2, 6, 40), torch.full((40,), 30.3)], 1)
    heat = heatmaps(points, torch.arange(40), 40, (64, 48), sigma)[None]
    _, cells = highest(heat)
    biased = (subpixel(heat, cells, kernel)[0] - points).abs().max()
    careful = (subpixel(heat, cells, kernel, everywhere=False)[0] - points).abs().max()
    assert biased > 0.2
    assert careful < 0.1


@pytest.mark.parametrize("subpixel", [quarter, lambda h, c: dark(h, c, 11), lambda h, c: udp(h, c, 11)])
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 4)])
def test_maps_of_a_few_cells_and_flat_ones_stay_finite(subpixel, size: tuple[int, int]) -> None:
    for heat in (torch.zeros(2, 3, *size), torch.full((2, 3, *size), -1.0), torch.rand(2, 3, *size)):
        value, cells = highest(heat)
        assert value.shape == (2, 3)
        assert subpixel(heat, cells).isfinite().all()
