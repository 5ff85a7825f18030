"""Padding by the last row and column against numpy's edge padding."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from densepred.ops.geometry.pad import pad


@pytest.mark.parametrize("factor", [1, 2, 3])
@pytest.mark.parametrize("size", [(5, 9), (6, 7), (11, 20), (1, 1), (12, 3)])
def test_maps_grow_at_the_far_edges_until_the_factor_reaches_the_size(size: tuple[int, int], factor: int) -> None:
    x = torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    down, across = 0, 0
    while factor * (4 + down) < size[0]:
        down += 1
    while factor * (5 + across) < size[1]:
        across += 1
    expected = np.pad(x.numpy(), ((0, 0), (0, 0), (0, down), (0, across)), mode="edge")
    assert np.array_equal(pad(x, size, factor).numpy(), expected)


def test_a_map_that_is_large_enough_is_returned_as_it_is() -> None:
    x = torch.rand(1, 2, 4, 5)
    assert pad(x, (8, 9), 2) is x


def test_gradients_of_repeated_cells_add_up_in_the_last_one() -> None:
    x = torch.rand(1, 1, 2, 3, requires_grad=True)
    pad(x, (4, 5), 1).sum().backward()
    assert x.grad is not None
    assert x.grad[0, 0].tolist() == [[1, 1, 3], [3, 3, 9]]
