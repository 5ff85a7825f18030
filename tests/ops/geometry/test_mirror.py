"""Mirrored lines against numpy's, which repeats the mirror as often as it takes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from densepred.ops.geometry.mirror import continued, mirror_index, mirrored


@pytest.mark.parametrize("length", [1, 2, 3, 7, 40])
def test_positions_beyond_the_edges_are_those_of_numpy(length: int) -> None:
    want = np.pad(np.arange(length), (95, 81), mode="reflect")
    assert mirror_index(-95, length + 81, length).tolist() == want.tolist()
    assert mirror_index(length + 3, length + 20, length).tolist() == want[95 + length + 3 : 95 + length + 20].tolist()


def test_images_are_reflected_on_both_axes() -> None:
    image = torch.rand(2, 3, 4, 5)
    want = np.pad(image.numpy(), ((0, 0), (0, 0), (6, 1), (2, 9)), mode="reflect")
    assert np.array_equal(mirrored(image, (-6, 5), (-2, 14)).numpy(), want)


def test_an_image_is_continued_by_its_mirror_image_as_often_as_it_takes() -> None:
    x = torch.arange(6.0).view(1, 1, 2, 3)
    assert continued(x, 8, 8)[0, 0].tolist() == [[0, 1, 2, 1, 0, 1, 2, 1], [3, 4, 5, 4, 3, 4, 5, 4]] * 4
    assert continued(x, 2, 5)[0, 0].tolist() == [[0, 1, 2, 1, 0], [3, 4, 5, 4, 3]]
    assert continued(x, 2, 3) is x
