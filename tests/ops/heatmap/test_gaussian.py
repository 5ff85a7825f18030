"""Heat maps against a loop over cells."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from densepred.ops.heatmap import gaussian
from densepred.ops.heatmap.gaussian import heatmaps


def slow(points: Tensor, channels: Tensor, count: int, size: tuple[int, int], sigmas: Tensor, reduce: str) -> Tensor:
    out = torch.zeros(count, *size)
    for (px, py), channel, sigma in zip(points.tolist(), channels.tolist(), sigmas.tolist(), strict=True):
        reach = math.ceil(3 * sigma)
        for y in range(size[0]):
            for x in range(size[1]):
                if abs(x - math.floor(px + 0.5)) > reach or abs(y - math.floor(py + 0.5)) > reach:
                    continue
                value = math.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * sigma**2))
                out[channel, y, x] = max(out[channel, y, x], value) if reduce == "amax" else out[channel, y, x] + value
    return out


@pytest.mark.parametrize("reduce", ["amax", "sum"])
def test_equals_a_loop_over_cells_with_a_sigma_each_and_points_outside(reduce: str) -> None:
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(12, 2, generator=generator) * torch.tensor([55.0, 47.0]) - 5
    channels = torch.randint(3, (12,), generator=generator)
    sigmas = torch.rand(12, generator=generator) * 3 + 0.5
    fast = heatmaps(points, channels, 3, (37, 45), sigmas, reduce=reduce)
    torch.testing.assert_close(fast, slow(points, channels, 3, (37, 45), sigmas, reduce), rtol=1e-5, atol=1e-6)


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    points = torch.rand(30, 2) * 40
    whole = heatmaps(points, torch.zeros(30), 1, (37, 45), 2.0)
    monkeypatch.setattr(gaussian, "CHUNK", 400)
    assert torch.equal(heatmaps(points, torch.zeros(30), 1, (37, 45), 2.0), whole)


def test_the_peak_is_one_at_a_cell_and_no_points_give_empty_maps() -> None:
    heat = heatmaps(torch.tensor([[7.0, 4.0]]), torch.tensor([1]), 2, (9, 11), 2.0)
    assert heat[1, 4, 7] == 1
    assert heat[0].max() == 0
    assert heatmaps(torch.zeros(0, 2), torch.zeros(0), 2, (9, 11), 2.0).shape == (2, 9, 11)
