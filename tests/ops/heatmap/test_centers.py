"""Centers of regions and peaks of heat maps against loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from densepred.ops.heatmap.centers import means, own_pixels, peaks
from densepred.ops.heatmap.gaussian import heatmaps
from tests.reference import slow_panoptic_deeplab as slow


def test_means_are_those_of_a_loop_and_not_numbers_where_nothing_is() -> None:
    ids = torch.randint(0, 4, (13, 17), generator=torch.Generator().manual_seed(0), dtype=torch.int32)
    found = means(ids, 4)
    want, _, _ = slow.targets(ids.numpy(), 3, 2.0)
    np.testing.assert_allclose(found[:3].numpy(), want, rtol=1e-6)
    assert found[3].isnan().all()
    assert means(torch.zeros(5, 6, dtype=torch.int32), 0).shape == (0, 2)


def test_the_own_pixel_of_a_ring_lies_on_it() -> None:
    y, x = torch.meshgrid(torch.arange(31), torch.arange(41), indexing="ij")
    ring = ((torch.hypot(x - 20.0, y - 15.0) - 9).abs() < 1.5).int()
    found = own_pixels(ring, means(ring, 1)).long()
    assert ring[found[0, 1], found[0, 0]] == 1
    distance = torch.hypot(x - 20.0, y - 15.0)[ring > 0].amin()
    assert torch.hypot(found[0, 0] - 20.0, found[0, 1] - 15.0) == pytest.approx(distance.item(), abs=1e-5)


@pytest.mark.parametrize("kernel", [1, 3, 7])
def test_peaks_are_those_of_a_loop_also_where_values_tie(kernel: int) -> None:
    heat = torch.randint(0, 6, (23, 19), generator=torch.Generator().manual_seed(kernel)).float() / 5
    found = peaks(heat, 1000, 0.3, (kernel, kernel), None)
    want = slow.maxima(heat.numpy(), 0.3, kernel)
    assert {tuple(point) for point in found.points.int().tolist()} == set(want)
    assert (found.scores.diff() <= 0).all()
    few = peaks(heat, 3, 0.3, (kernel, kernel), None)
    assert few.scores.tolist() == found.scores[:3].tolist()  # all of them, also where the last ties


def test_a_gaussian_is_found_between_cells_and_at_the_border() -> None:
    points = torch.tensor([[10.3, 7.6], [33.5, 20.5], [0.2, 28.9], [44.0, 36.0]])
    heat = heatmaps(points, torch.zeros(4, dtype=torch.int64), 1, (37, 45), 3.0, 3.4)[0]
    found = peaks(heat, 10, 0.1, (5, 5), 3.0)
    apart = (found.points[:, None] - points).norm(dim=-1)
    assert len(found.points) == 4
    assert apart.amin(0).max() < 0.01


def test_an_empty_map_and_one_of_one_cell() -> None:
    assert len(peaks(torch.zeros(5, 7), 10, 0.1, (3, 3), 2.0).points) == 0
    assert peaks(torch.ones(1, 1), 10, 0.1, (7, 7), 2.0).points.tolist() == [[0.0, 0.0]]
    assert len(peaks(torch.full((5, 7), torch.nan), 10, 0.1, (3, 3), 2.0).points) == 0


def test_a_peak_lies_above_the_threshold_and_not_on_it() -> None:
    heat = torch.tensor([[0.5, 0.0, 0.75]])
    assert peaks(heat, 9, 0.5, (3, 3), None).scores.tolist() == [0.75]
    assert peaks(heat, 9, 0.4375, (3, 3), None).scores.tolist() == [0.75, 0.5]


def test_a_peak_as_high_as_the_threshold_is_none() -> None:
    heat = torch.zeros(9, 9)
    heat[2, 3], heat[6, 5] = 0.5, 0.75
    assert peaks(heat, 10, 0.5, (3, 3), None).points.tolist() == [[5.0, 6.0]]


def test_a_peak_at_the_border_has_no_neighbours_on_the_other_side() -> None:
    """Row by row in memory, the last pixel of a row stands beside the first of the next one."""
    for low, high in (((1, 4), (2, 0)), ((2, 0), (1, 4)), ((0, 4), (2, 0)), ((2, 0), (0, 4))):
        heat = torch.zeros(4, 5)
        heat[low], heat[high] = 0.5, 0.75
        assert peaks(heat, 9, 0.1, (3, 3), None).points.tolist() == [[high[1], high[0]], [low[1], low[0]]]
