from __future__ import annotations

import numpy as np
import pytest
import torch

from densepred.ops.regions.components import class_components, components, small_holes, without_small
from tests.reference import slow_segments


def noise(seed: int, size: tuple[int, int] = (23, 31)) -> np.ndarray:
    return np.random.default_rng(seed).random(size) < 0.6


def test_parts_are_numbered_as_pixel_by_pixel() -> None:
    for seed in range(5):
        parts, count = components(noise(seed), 4)
        assert parts.tolist() == slow_segments.fill(noise(seed)).tolist()
        assert count == parts.max()
    corners = np.eye(4, dtype=bool)
    assert [components(corners, connectivity)[1] for connectivity in (4, 8)] == [4, 1]
    assert components(np.zeros((3, 4), bool), 4)[1] == 0


@pytest.mark.parametrize("connectivity", [4, 8])
@pytest.mark.parametrize("most", [0, 1, 3, 1000])
def test_holes_are_parts_of_the_rest_that_reach_no_edge(connectivity: int, most: int) -> None:
    mask = noise(7)
    rest = ~mask
    wanted = np.zeros_like(mask)
    parts, count = components(rest, 12 - connectivity)
    for number in range(1, count + 1):
        y, x = np.nonzero(parts == number)
        inside = y.min() > 0 and x.min() > 0 and y.max() < mask.shape[0] - 1 and x.max() < mask.shape[1] - 1
        wanted[parts == number] = inside and len(y) <= most
    assert small_holes(mask, connectivity, most).tolist() == wanted.tolist()


def test_a_ring_closed_by_corners_holds_a_hole_only_where_corners_connect() -> None:
    ring = np.zeros((5, 5), bool)
    ring[[1, 2, 2, 3], [2, 1, 3, 2]] = True
    assert small_holes(ring, 8, 9).sum() == 1
    assert small_holes(ring, 4, 9).sum() == 0


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 2)])
def test_a_line_has_no_holes(size: tuple[int, int]) -> None:
    assert not small_holes(np.zeros(size, bool), 4, 99).any()
    assert not small_holes(np.ones(size, bool), 4, 99).any()


def test_small_parts_go_and_numbers_have_no_gaps() -> None:
    parts = np.array([[1, 1, 0, 3], [5, 5, 5, 0]], np.int32)
    for least, wanted in ((1, [[1, 1, 0, 2], [3, 3, 3, 0]]), (2, [[1, 1, 0, 0], [2, 2, 2, 0]]), (9, [[0] * 4] * 2)):
        kept, count = without_small(parts, least)
        assert kept.tolist() == wanted
        assert count == np.max(wanted)


def test_components_are_connected_by_sides_and_kept_apart_by_class() -> None:
    labels = torch.tensor([[1, 0, 1, 2], [0, 1, 1, 2], [1, 0, 0, 1]], dtype=torch.uint8)
    found = class_components(labels, [1, 2])
    assert found.dtype == torch.int32
    assert sorted(found.unique().tolist()) == [0, 1, 2, 3, 4, 5]
    assert found[0, 2] == found[1, 1] == found[1, 2]
    assert found[0, 0] != found[1, 1]
    assert found[0, 3] == found[1, 3] != found[2, 3]
    assert not found[labels == 0].any()
    assert class_components(labels, [2]).max() == 1
