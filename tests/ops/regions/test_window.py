"""Windows against one window at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from densepred.ops.regions import window
from densepred.types import VOID
from tests.reference import slow_boundary


@pytest.mark.parametrize("reach", [0, 1, 2, 3, 7, 11])
def test_extremes_equal_scipys_filters(reach: int) -> None:
    x = np.random.default_rng(0).integers(0, 256, (23, 31)).astype(np.uint8)
    largest, smallest = window.extremes(torch.from_numpy(x), reach)
    inside = (slice(reach, 23 - reach), slice(reach, 31 - reach))
    assert np.array_equal(largest.numpy(), ndimage.maximum_filter(x, 2 * reach + 1)[inside])
    assert np.array_equal(smallest.numpy(), ndimage.minimum_filter(x, 2 * reach + 1)[inside])


@pytest.mark.parametrize("reach", [1, 2, 5, 40])
def test_mixed_finds_two_known_labels(reach: int) -> None:
    draw = np.random.default_rng(1)
    truth = np.kron(draw.integers(0, 3, (4, 5)), np.ones((7, 6), int)).astype(np.uint8)
    truth[draw.random(truth.shape) < 0.3] = VOID
    found = window.mixed(torch.from_numpy(truth), reach).numpy()
    assert np.array_equal(found, slow_boundary.band(truth, reach, VOID))


def test_everything_is_outline_where_the_window_is_as_large_as_the_image() -> None:
    assert window.outline(torch.zeros(5, 9, dtype=torch.uint8), 3).all()
