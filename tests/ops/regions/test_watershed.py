from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from densepred.ops.regions.components import components
from densepred.ops.regions.watershed import basins_by_prominence, split_components
from tests.reference import slow_hills


def same(a: np.ndarray, b: np.ndarray) -> bool:
    """Return True if two maps differ only in their numbering."""
    pairs = {(int(x), int(y)) for x, y in zip(a.ravel(), b.ravel(), strict=True)}
    return len(pairs) == len({x for x, _ in pairs}) == len({y for _, y in pairs})


def discs(size: tuple[int, int], *places: tuple[float, float, float]) -> np.ndarray:
    """Discs at (y, x) of a radius, as a map of ids in which the later lie on top."""
    y, x = np.mgrid[: size[0], : size[1]]
    ids = np.zeros(size, np.int32)
    for number, (top, left, radius) in enumerate(places, 1):
        ids[(y - top) ** 2 + (x - left) ** 2 <= radius**2] = number
    return ids


@pytest.mark.parametrize("prominence", [0.0, 0.05, 0.3, 9.0])
def test_basins_equal_a_walk_from_every_pixel(prominence: float) -> None:
    for seed in range(6):
        draw = np.random.default_rng(seed)
        size = (int(draw.integers(1, 17)), int(draw.integers(1, 23)))
        height = ndimage.gaussian_filter(draw.normal(size=size), 1.0)
        parts, _ = components(draw.random(size) < 0.8, 4)
        one = lambda peak, gap: peak - gap < prominence  # noqa: E731
        assert same(basins_by_prominence(parts, height, one), slow_hills.hills(parts, height, one))


def test_plateaus_are_one_basin() -> None:
    assert (
        basins_by_prominence(np.ones((9, 14), np.int32), np.zeros((9, 14)), lambda peak, gap: peak - gap <= 0).max()
        == 1
    )


def test_parts_are_never_left_or_united() -> None:
    parts = np.array([[1, 2, 2], [1, 1, 2]], np.int32)
    found = basins_by_prominence(parts, np.arange(6.0).reshape(2, 3), lambda peak, gap: True)
    assert same(found, parts)
    assert not basins_by_prominence(np.zeros((3, 4), np.int32), np.zeros((3, 4)), lambda peak, gap: True).any()


@pytest.mark.parametrize("distance", [15, 18, 20, 22])
def test_two_discs_come_apart_at_the_neck_between_them(distance: int) -> None:
    ids = discs((45, 60), (20, 20, 11), (23, 20 + distance, 11))
    parts, count = components(ids > 0, 4)
    assert count == 1
    found = split_components(parts, 1.0, 0.9, 1.0)
    # The chord is where the true border is, if both discs are cut back to it
    y, x = np.mgrid[:45, :60]
    side = (y - 21.5) * 3 + (x - 20 - distance / 2) * distance
    wanted = np.where(ids > 0, np.where(side > 0, 2, 1), 0)
    off = np.abs(side) / np.hypot(3, distance)
    assert found.max() == 2
    assert same(found[off > 1.5], wanted[off > 1.5])


def test_what_has_no_neck_stays_whole() -> None:
    y, x = np.mgrid[:40, :60]
    ellipse = ((y - 20) / 9) ** 2 + ((x - 30) / 25) ** 2 <= 1
    bar = (abs(y - 20) <= 3) & (abs(x - 30) <= 25)
    for mask in (ellipse, bar, bar.T.copy(), np.ones((40, 60), bool)):
        parts, _ = components(mask, 4)
        assert split_components(parts, 1.0, 0.9, 1.0).max() == 1


def test_one_pixel_is_one_blob_and_nothing_is_none() -> None:
    assert split_components(np.ones((1, 1), np.int32), 1.0, 0.9, 1.0).tolist() == [[1]]
    assert split_components(np.zeros((4, 5), np.int32), 1.0, 0.9, 1.0).max() == 0


def test_two_thousand_round_blobs_stay_whole() -> None:
    grid = np.zeros((24, 24), bool)
    grid[2:21, 2:21] = discs((19, 19), (9, 9, 9)) > 0
    parts, count = components(np.tile(grid, (45, 45)), 4)
    assert split_components(parts, 1.0, 0.9, 1.0).max() == count == 2025
