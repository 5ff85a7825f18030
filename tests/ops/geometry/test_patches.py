"""Patches there and back, against unfold and numpy's mirror."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from densepred.ops.geometry import patches


@pytest.mark.parametrize("patch", [(1, 1), (4, 3), (8, 12)])
def test_cutting_is_unfolding_and_joining_undoes_it(patch: tuple[int, int]) -> None:
    image = torch.rand(2, 3, 8, 12)
    cells = patches.cut(image, patch)
    expected = F.unfold(image, patch, stride=patch).movedim(1, 2)
    assert torch.equal(cells.flatten(1, 2), expected)
    assert torch.equal(patches.merge(cells, patch), image)


@pytest.mark.parametrize(("size", "patch"), [((5, 7), (4, 4)), ((1, 3), (8, 16)), ((8, 12), (4, 4)), ((2, 1), (7, 5))])
def test_images_are_continued_by_their_mirror_image(size: tuple[int, int], patch: tuple[int, int]) -> None:
    image = torch.rand(1, 2, *size)
    whole = patches.whole(image, patch)
    missing = [-length % cell for length, cell in zip(size, patch, strict=True)]
    expected = np.pad(image.numpy(), ((0, 0), (0, 0), (0, missing[0]), (0, missing[1])), mode="reflect")
    assert np.array_equal(whole.numpy(), expected)
