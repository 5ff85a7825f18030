"""Peaks against a loop over cells."""

from __future__ import annotations

import torch
from torch import Tensor

from densepred.ops.heatmap.gaussian import heatmaps
from densepred.ops.heatmap.peaks import is_maximum, local_maxima


def slow_maxima(heat: Tensor, kernel: int) -> set[tuple[int, int]]:
    reach, (height, width) = kernel // 2, heat.shape
    found = set()
    for y in range(height):
        for x in range(width):
            rows = range(max(0, y - reach), min(height, y + reach + 1))
            columns = range(max(0, x - reach), min(width, x + reach + 1))
            window = [(v, u) for v in rows for u in columns]
            best = max(window, key=lambda cell: (heat[cell].item(), -cell[0], -cell[1]))
            if best == (y, x):
                found.add((y, x))
    return found


def test_maxima_equal_a_loop_over_windows_also_where_values_tie() -> None:
    generator = torch.Generator().manual_seed(0)
    heat = torch.randint(6, (1, 1, 19, 23), generator=generator).float()
    for kernel in (3, 5, 7):
        assert {(y, x) for y, x in is_maximum(heat, kernel)[0, 0].nonzero().tolist()} == slow_maxima(heat[0, 0], kernel)


def test_a_peak_between_four_locations_is_found_once() -> None:
    heat = heatmaps(torch.tensor([[10.5, 6.5]]), torch.tensor([0]), 1, (15, 21), 2.0)
    scores, x, y = local_maxima(heat[None], 5, 0.1)
    assert (scores[0, 0] > 0).tolist() == [True, False, False, False, False]
    assert (x[0, 0, 0].item(), y[0, 0, 0].item()) == (10, 6)


def test_exactly_k_are_kept_and_scores_fall() -> None:
    heat = torch.zeros(2, 1, 20, 20)
    for i in range(9):
        heat[0, 0, 2 * i, 3] = 1 - i / 10
    scores, _, y = local_maxima(heat, 4, 0.0)
    assert y[0, 0].tolist() == [0, 2, 4, 6]
    assert scores[0, 0].diff().max() < 0
    assert scores[1].isinf().all()


def test_across_channels_the_row_also_holds_the_channel() -> None:
    heat = torch.zeros(1, 3, 5, 7)
    heat[0, 2, 4, 6], heat[0, 0, 1, 2] = 0.9, 0.5
    scores, x, y = local_maxima(heat, 40, 0.1, across=True)
    assert scores.shape == (1, 40)
    rows = y[0, :2].tolist()
    assert [row // 5 for row in rows] == [2, 0]
    assert [row % 5 for row in rows] == [4, 1]
    assert x[0, :2].tolist() == [6, 2]
