"""The nearest of many centers against comparing with every one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree

from densepred.ops.regions import nearest_center as module
from densepred.ops.regions.nearest_center import nearest_center
from tests.reference import slow_panoptic_deeplab as slow


def drawn(
    seed: int, points: int, count: int, size: tuple[int, int], spread: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Points (P, 2) about centers (K, 2), some of them outside the image."""
    generator = torch.Generator().manual_seed(seed)
    centers = torch.rand(count, 2, generator=generator) * torch.tensor([size[1], size[0]]) - 0.5
    own = torch.randint(count, (points,), generator=generator)
    return centers[own] + torch.randn(points, 2, generator=generator) * spread, centers


@pytest.mark.parametrize("count", [1, 2, 7, 60])
@pytest.mark.parametrize("size", [(1, 1), (3, 200), (37, 45), (301, 415)])
def test_every_point_finds_the_center_that_a_loop_finds(count: int, size: tuple[int, int]) -> None:
    points, centers = drawn(count, 150, count, size, spread=20)
    found = nearest_center(points[:, 0], points[:, 1], centers, size)
    want = slow.nearest(points.double().numpy(), centers.double().numpy())
    chosen, best = (
        torch.linalg.vector_norm(points - centers[index], dim=1) for index in (found, torch.from_numpy(want))
    )
    torch.testing.assert_close(chosen, best, atol=1e-4, rtol=0)  # of two that are equally far either will do
    assert (found.numpy() != want).mean() < 0.02


@pytest.mark.parametrize(("count", "spread"), [(100, 30.0), (2000, 8.0), (2000, 400.0)])
def test_many_centers_agree_with_a_tree(count: int, spread: float) -> None:
    points, centers = drawn(count, 20_000, count, (1024, 2048), spread)
    found = nearest_center(points[:, 0], points[:, 1], centers, (1024, 2048))
    distance, _ = cKDTree(centers.numpy()).query(points.numpy())
    chosen = np.linalg.norm(points.double().numpy() - centers.double().numpy()[found], axis=1)
    assert np.abs(chosen - distance).max() < 1e-3


def test_of_centers_equally_far_the_first_is_found() -> None:
    centers = torch.tensor([[40.0, 10.0], [10.0, 10.0], [10.0, 10.0], [40.0, 40.0]])
    points = torch.tensor([[25.0, 10.0], [12.0, 11.0], [40.0, 25.0]])
    assert nearest_center(points[:, 0], points[:, 1], centers, (50, 50)).tolist() == [0, 1, 0]


def test_what_is_not_finite_or_far_away_is_no_trouble() -> None:
    centers = torch.tensor([[5.0, 5.0], [30.0, 20.0], [4000.0, 20.0]])
    x = torch.tensor([torch.nan, torch.inf, -torch.inf, 3999.0, -1e30])
    y = torch.tensor([0.0, 0.0, torch.nan, 1e4, 3.0])
    assert nearest_center(x, y, centers, (40, 50)).tolist()[0] == 0
    assert nearest_center(x, y, centers, (40, 50)).tolist()[3] == 2


def test_centers_in_one_place_keep_the_table_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """No cell can part them, so cells are not split for ever."""
    monkeypatch.setattr(module, "TABLE", 5000)
    points, _ = drawn(0, 500, 5, (301, 415), spread=50)
    centers = torch.full((300, 2), 150.0) + torch.rand(300, 2, generator=torch.Generator().manual_seed(1)) * 1e-3
    table, counts, _ = module._table(centers, (301, 415))
    assert table.numel() <= 5000
    assert counts.max() == 300
    found = nearest_center(points[:, 0], points[:, 1], centers, (301, 415))
    best = (points[:, None].double() - centers.double()).norm(dim=-1)
    torch.testing.assert_close(best.gather(1, found[:, None])[:, 0], best.amin(1), atol=1e-4, rtol=0)
