"""The score tells checkerboards from everything else: against a slow transform, known patterns and real layers."""

from __future__ import annotations

import cmath
import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from densepred.contracts import Upsample
from densepred.ops.score.checkerboard import checkerboard
from densepred.upsample.bilinear import Bilinear
from densepred.upsample.nearest import Nearest
from densepred.upsample.pixel_shuffle import PixelShuffle
from densepred.upsample.transposed import Transposed


def smooth(count: int = 2, channels: int = 8, size: tuple[int, int] = (16, 20)) -> Tensor:
    coarse = torch.randn(count, channels, size[0] // 4, size[1] // 4)
    return F.interpolate(coarse, size, mode="bicubic") + 1


def slow(maps: Tensor, period: int) -> float:
    """The definition, frequency by frequency."""
    height, width = maps.shape[-2:]
    window = [
        [
            math.sin(math.pi * (y + 1) / (height + 1)) ** 2 * math.sin(math.pi * (x + 1) / (width + 1)) ** 2
            for x in range(width)
        ]
        for y in range(height)
    ]
    near = total = 0.0
    places = [(y, x) for y in range(height) for x in range(width)]
    for channel in maps.tolist():
        mean = sum(channel[y][x] * window[y][x] for y, x in places) / sum(map(sum, window))
        for v, u in places[1:]:
            wave = sum(
                (channel[y][x] - mean) * window[y][x] * cmath.exp(-2j * math.pi * (v * y / height + u * x / width))
                for y, x in places
            )
            energy = abs(wave) ** 2
            total += energy
            away = [
                math.hypot(*(abs((f - k / period + 0.5) % 1 - 0.5) for f, k in ((v / height, i), (u / width, j))))
                for i in range(period)
                for j in range(period)
                if i or j
            ]
            near += energy if min(away) <= 1 / 16 else 0
    return near / total


@pytest.mark.parametrize(("size", "period"), [((7, 9), 2), ((8, 6), 2), ((8, 9), 4)])
def test_it_equals_the_definition(size: tuple[int, int], period: int) -> None:
    torch.manual_seed(0)
    maps = torch.randn(1, 2, *size, dtype=torch.float64)
    assert checkerboard(maps, period).item() == pytest.approx(slow(maps[0], period), rel=1e-9)


def test_patterns_of_two_pixels_score_nearly_one_and_smooth_maps_nearly_zero() -> None:
    y, x = torch.meshgrid(torch.arange(40), torch.arange(48), indexing="ij")
    patterns = torch.stack([(-1.0) ** y, (-1.0) ** x, (-1.0) ** (x + y)])[:, None]
    assert checkerboard(patterns + 5).min() > 0.999
    assert checkerboard(torch.sin(y / 5 + x / 7)[None, None]).item() < 1e-4
    assert checkerboard(torch.tensor([0.0, 0.1, 1 / 3, 1e6]).view(4, 1, 1, 1).expand(4, 2, 40, 48)).tolist() == [0] * 4
    four = (torch.arange(48) % 4 == 0).float().expand(1, 1, 40, 48)
    assert checkerboard(four).item() < 0.4
    assert checkerboard(four, period=4).item() > 0.999


def test_noise_scores_the_area_around_the_frequencies() -> None:
    torch.manual_seed(0)
    score = checkerboard(torch.randn(16, 4, 64, 64)).mean().item()
    assert score == pytest.approx(3 * math.pi / 256, rel=0.2)


def test_neither_scale_nor_offset_counts_and_no_size_fails() -> None:
    torch.manual_seed(0)
    maps = torch.randn(2, 3, 17, 12, dtype=torch.float64)
    torch.testing.assert_close(checkerboard(7 * maps - 100), checkerboard(maps))
    assert checkerboard(maps.to(torch.bfloat16)).dtype == torch.float32
    for size in ((1, 1), (1, 9), (2, 2), (5, 1)):
        score = checkerboard(torch.rand(1, 1, *size))
        assert 0 <= score.item() <= 1


def climbed(kind: type[Upsample], seed: int, between: bool, **arguments: object) -> float:
    """The score of smooth maps after two random layers of upsampling, with convolutions between or without."""
    torch.manual_seed(seed)
    x = smooth()
    for _ in range(2):
        x = kind(8, 8, None, **arguments)(x, (2 * x.shape[-2], 2 * x.shape[-1]), None)
        x = nn.Conv2d(8, 8, 3, padding=1)(x).relu() if between else x
    return checkerboard(x.detach()).mean().item()


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("between", [False, True])
def test_uneven_transposed_convolutions_score_far_above_interpolation(seed: int, between: bool) -> None:
    """A kernel of 3 at a stride of 2 overlaps in every other pixel: the case of Odena et al."""
    uneven = climbed(Transposed, seed, between, kernel=3)
    bilinear = climbed(Bilinear, seed, between)
    assert uneven > 0.1
    assert bilinear < 1e-3
    assert uneven > 100 * bilinear


def test_the_remedies_score_low() -> None:
    """Bilinear first weights (FCN) and ICNR: what begins as interpolation has no checkerboard to unlearn."""
    assert climbed(Transposed, 0, True, init="bilinear") < 1e-3
    assert climbed(PixelShuffle, 0, True, init="random") > 10 * climbed(PixelShuffle, 0, True, init="icnr")
    assert climbed(Transposed, 0, True) > 10 * climbed(Nearest, 0, True)
