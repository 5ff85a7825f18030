"""Tiles of odd and even sides against slow loops: every pixel once, with its context, and put back where it was."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise, product

import numpy as np
import pytest
import torch
from torch import Tensor

from densepred.build.instantiate import build
from densepred.errors import UserError
from densepred.ops.geometry.mirror import mirrored
from densepred.ops.geometry.tiling import FLOOR, SPREAD, Cut, blend_weights, cut, cut_unpadded, positions

LENGTHS = [1, 2, 7, 30, 31, 100, 101]
TILES = [1, 2, 3, 5, 8, 13, 31, 32]
OVERLAPS = [0.0, 0.25, 0.5, 0.9]


@pytest.mark.parametrize("overlap", OVERLAPS)
@pytest.mark.parametrize("window", TILES)
@pytest.mark.parametrize("length", LENGTHS)
def test_starts_are_the_fewest_and_most_even_that_overlap_enough(length: int, window: int, overlap: float) -> None:
    starts = positions(length, window, overlap)
    if window >= length:
        assert starts == [0]
        return
    step = max(1, int(window * (1 - overlap)))
    count = 2
    while Fraction(length - window, count - 1) > step:
        count += 1
    assert len(starts) == count
    assert (starts[0], starts[-1] + window) == (0, length)
    assert all(abs(start - Fraction(i * (length - window), count - 1)) <= 0.5 for i, start in enumerate(starts))
    assert all(0 < b - a <= step for a, b in pairwise(starts))


@pytest.mark.parametrize("size", [(9, 12), (1, 7), (31, 5), (16, 16)])
def test_blending_weights_are_a_gaussian_around_the_center_of_a_window(size: tuple[int, int]) -> None:
    expected = torch.empty(size)
    for y, x in product(*map(range, size)):
        down, across = (y - (size[0] - 1) / 2) / size[0], (x - (size[1] - 1) / 2) / size[1]
        expected[y, x] = max(FLOOR, math.exp(-(down**2 + across**2) / (2 * SPREAD**2)))
    torch.testing.assert_close(blend_weights(size), expected, rtol=1e-5, atol=1e-7)
    assert FLOOR > 0


@pytest.mark.parametrize("overlap", OVERLAPS)
@pytest.mark.parametrize("tile", TILES)
@pytest.mark.parametrize("length", LENGTHS)
def test_every_pixel_is_kept_once_with_equal_context_on_both_sides(length: int, tile: int, overlap: float) -> None:
    plan = cut(length, tile, overlap)
    windows = plan.windows(length)
    assert [i for _, (start, stop) in windows for i in range(start, stop)] == list(range(length))
    if tile >= length:
        assert windows == [((0, length), (0, length))]
        return
    assert all(stop - start == tile for (start, stop), _ in windows)
    for (first, last), (start, stop) in windows:
        assert start - first == plan.margin
        assert last - stop >= plan.margin
        assert last - stop == plan.margin or stop == length
    # The least context that lets neighbours share the overlap, so long as each window keeps a pixel
    shared = 2 * plan.margin
    assert shared >= tile * overlap or tile - shared <= 2
    assert shared - 2 < tile * overlap or shared == 0


def stitched(image: Tensor, tiles: tuple[int, int], overlap: float, model: Callable[[Tensor], Tensor]) -> Tensor:
    """Predict window by window and set what is kept of each side by side."""
    out = torch.full_like(image, torch.nan)
    rows, columns = (cut(length, tile, overlap) for length, tile in zip(image.shape, tiles, strict=True))
    for (down, kept), (across, held) in product(rows.windows(image.shape[0]), columns.windows(image.shape[1])):
        found = model(mirrored(image, down, across))
        part = found[kept[0] - down[0] : kept[1] - down[0], held[0] - across[0] : held[1] - across[0]]
        out[kept[0] : kept[1], held[0] : held[1]] = part
    return out


@pytest.mark.parametrize(("tiles", "overlap"), [((7, 9), 0.5), ((5, 8), 0.6), ((13, 7), 0.5), ((7, 99), 0.3)])
@pytest.mark.parametrize("size", [(17, 23), (8, 31)])
def test_stitched_windows_give_what_the_whole_image_gives(
    size: tuple[int, int], tiles: tuple[int, int], overlap: float
) -> None:
    """A sum over lopsided surroundings of 3 x 3 pixels needs a context of one pixel, and the side it came from."""
    image = torch.randint(0, 100, size, generator=torch.Generator().manual_seed(0)).double()
    kernel = torch.arange(1.0, 10.0, dtype=torch.float64).view(3, 3)

    def model(window: Tensor) -> Tensor:
        around = torch.from_numpy(np.pad(window.numpy(), 1, mode="reflect"))
        out = torch.zeros_like(window)
        for down, across in product(range(3), range(3)):
            out += kernel[down, across] * around[down : down + window.shape[0], across : across + window.shape[1]]
        return out

    assert torch.equal(stitched(image, tiles, overlap, model), model(image))


@pytest.mark.parametrize(("window", "overlap"), [((5, 7), 0.5), ((9, 4), 0.25), ((3, 3), 0.0)])
def test_blended_windows_of_a_model_that_copies_give_the_image(window: tuple[int, int], overlap: float) -> None:
    image = torch.rand(19, 26, generator=torch.Generator().manual_seed(0))
    weight = blend_weights(window)
    total, norm = torch.zeros(19, 26), torch.zeros(19, 26)
    for top, left in product(*(positions(a, b, overlap) for a, b in zip(image.shape, window, strict=True))):
        here = slice(top, top + window[0]), slice(left, left + window[1])
        total[here] += weight * image[here]
        norm[here] += weight
    torch.testing.assert_close(total / norm, image)


class Halves:
    """A network on a line: 3 taps, pooling of 2, 3 taps, enlarged twofold; without padding, sides are even."""

    margin, step = 3, 2

    def fit(self, length: int) -> int:
        return length // 2 * 2

    def valid(self, image: Tensor) -> dict[str, list[Tensor]]:
        return {"line": [self.line(image)]}

    def line(self, x: Tensor) -> Tensor:
        mixed = x[:-2] + 2 * x[1:-1] - x[2:]
        pooled = mixed.view(-1, 2).amax(1)
        return (3 * pooled[:-2] - pooled[1:-1] + 5 * pooled[2:]).repeat_interleave(2)


@pytest.mark.parametrize("tile", [10, 11, 13, 20, 27, 80])
@pytest.mark.parametrize("length", [1, 4, 23, 40, 41])
def test_windows_without_padding_give_exactly_what_one_large_window_gives(length: int, tile: int) -> None:
    model = Halves()
    image = torch.randint(-50, 50, (1, length), generator=torch.Generator().manual_seed(length))
    everything = model.line(mirrored(image, (0, 1), (-3, 2 * 40 + 3))[0])[:length]
    plan = cut_unpadded(length, tile, model)
    assert plan.side <= tile
    assert plan.side == model.fit(plan.side)
    out = torch.full((length,), -9999)
    for (first, last), (start, stop) in plan.windows(length):
        assert last - first == plan.side
        found = model.valid(mirrored(image, (0, 1), (first, last))[0])["line"][0]
        out[start:stop] = found[start - first - 3 : stop - first - 3]
    assert torch.equal(out, everything)
    if plan.kept < length:  # windows are as large as the tile allows
        assert plan.side == model.fit(tile)


def test_a_tile_that_keeps_nothing_is_refused_with_one_that_does() -> None:
    with pytest.raises(UserError, match="tile: 7; windows of this model lose 6 pixels: give at least 8, or null"):
        cut_unpadded(50, 7, Halves())
    assert cut_unpadded(50, 8, Halves()) == Cut(8, 3, 2)


def test_the_first_unet_takes_the_windows_of_its_paper(plain) -> None:
    model = build(plain("model=unet_first", "model.width=1")["model"], heads={}, channels=1, mean=(0.0,), std=(1.0,))
    assert cut_unpadded(1000, 580, model) == Cut(572, 92, 384)  # 388 pixels are predicted, 384 of them kept
    assert cut_unpadded(388, 580, model).kept == 388
    assert cut_unpadded(20, 580, model).side == 204
