"""Mirrored lines against numpy's, which repeats the mirror as often as it takes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from densepred.ops.geometry.mirror import mirror_index, mirrored


@pytest.mark.parametrize("length", [1, 2, 3, 7, 40])
def test_positions_beyond_the_edges_are_those_of_numpy(length: int) -> None:
    want = np.pad(np.arange(length), (95, 81), mode="reflect")
    assert mirror_index(-95, length + 81, length).tolist() == want.tolist()
    assert mirror_index(length + 3, length + 20, length).tolist() == want[95 + length + 3 : 95 + length + 20].tolist()


def test_images_are_reflected_on_both_axes() -> None:
    image = torch.rand(2, 3, 4, 5)
    want = np.pad(image.numpy(), ((0, 0), (0, 0), (6, 1), (2, 9)), mode="reflect")
    assert np.array_equal(mirrored(image, (-6, 5), (-2, 14)).numpy(), want)
