"""The deferred part of a warp, and the mean colour after it."""

from __future__ import annotations

import pytest
import torch

from densepred.ops.geometry.deferral import deferred, mean_after
from densepred.ops.geometry.recolour import mean_colour
from densepred.ops.geometry.warp import IDENTITY, Matrix, Warp, locate, scaling, warp_image

ROTATION: Matrix = ((0.90137, -0.43119, 12.3171), (0.38213, 1.10713, -4.7131))
SMALLER: Matrix = ((4.7131, 0.0, -3.2171), (0.0, -2.30717, 40.1313))


def picture(dtype: torch.dtype) -> torch.Tensor:
    values = torch.rand(3, 37, 45, generator=torch.Generator().manual_seed(0))
    return values if dtype == torch.float32 else (values * 255).round().to(dtype)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize("matrix", [ROTATION, SMALLER])
@pytest.mark.parametrize("size", [(41, 33), (16, 90), (1, 1)])
def test_the_mean_colour_is_known_before_the_image(matrix: Matrix, size: tuple[int, int], dtype: torch.dtype) -> None:
    image, warp = picture(dtype), Warp(matrix, size)
    later = deferred(image, warp, locate(warp, (37, 45)))
    assert later.sampling is not None
    assert later.shape == (3, *size)
    assert torch.equal(mean_after(later), mean_colour(warp_image(image, warp)))


@pytest.mark.parametrize(
    "warp",
    [
        Warp(IDENTITY, (50, 20)),
        Warp(((-1.0, 0.0, 44.0), (0.0, 1.0, 0.0)), (37, 45)),
        Warp(scaling((37, 45), (20, 61)), (20, 61)),
    ],
)
def test_shifts_and_resizes_are_made_at_once(warp: Warp) -> None:
    image = picture(torch.uint8)
    later = deferred(image, warp, locate(warp, (37, 45)))
    assert later.sampling is None
    assert torch.equal(later.pixels, warp_image(image, warp))
    assert torch.equal(mean_after(later), mean_colour(later.pixels))


def test_an_image_without_a_warp_is_itself() -> None:
    image = picture(torch.uint8)
    assert deferred(image, None).pixels is image
