"""Maps of colours against a loop over pixels."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import Tensor

from densepred.ops.geometry import recolour
from densepred.ops.geometry.recolour import compose_colours, mean_colour

MIX = torch.tensor([[0.9, 0.3, -0.2, 0.05], [-0.1, 1.4, 0.2, -0.1], [0.3, 0.2, 0.4, 0.02]])
SHIFT = torch.tensor([[0.5, 0.0, 0.1, 0.3], [0.2, 0.7, 0.0, -0.2], [0.0, -0.3, 1.2, 0.1]])


def picture(channels: int, size: tuple[int, int], dtype: torch.dtype) -> Tensor:
    values = torch.rand(channels, *size, generator=torch.Generator().manual_seed(3))
    return values if dtype == torch.float32 else (values * 255).round().to(dtype)


def slow(image: Tensor, matrix: Tensor) -> Tensor:
    """Return the pixels mapped in [0, 1], clipped and back in the range of the image, (C, H, W) float64."""
    white = 255 if image.dtype == torch.uint8 else 1
    out = torch.empty(image.shape, dtype=torch.float64)
    for y, x in product(range(image.shape[1]), range(image.shape[2])):
        colour = [float(value) / white for value in image[:, y, x]]
        for channel, row in enumerate(matrix.tolist()):
            value = sum(a * b for a, b in zip(row, [*colour, 1.0], strict=True))
            out[channel, y, x] = min(max(value, 0.0), 1.0) * white
    return out


@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8])
@pytest.mark.parametrize("matrix", [MIX, SHIFT])
def test_colours_are_mapped_pixel_by_pixel_and_bytes_go_to_the_nearest(
    matrix: Tensor, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recolour, "_PIECE", 50)  # several pieces, the last shorter
    image = picture(3, (13, 17), dtype)
    found, expected = recolour.recolour(image, matrix), slow(image, matrix)
    assert found.dtype == dtype
    assert (found - expected).abs().max() <= (0.5001 if dtype == torch.uint8 else 1e-6)
    white = 255 if dtype == torch.uint8 else 1
    assert (expected == 0).any()
    assert (expected == white).any()
    assert len(expected.unique()) > 300


@pytest.mark.parametrize(("channels", "matrix"), [(1, [[1.5, -0.2]]), (2, [[0.2, 0.9, 0.1], [-1.0, 1.0, 0.5]])])
def test_images_of_other_numbers_of_channels_and_strided_ones_are_mapped(channels: int, matrix: list) -> None:
    image = picture(channels, (11, 7), torch.float32).movedim(1, 2)
    found = recolour.recolour(image, torch.tensor(matrix))
    torch.testing.assert_close(found, slow(image, torch.tensor(matrix)).float(), atol=1e-6, rtol=0)


def test_a_composed_map_is_the_inner_one_and_then_the_outer() -> None:
    colour = torch.tensor([0.3, 0.5, 0.2])
    inner = SHIFT[:, :3] @ colour + SHIFT[:, 3]
    expected = MIX[:, :3] @ inner + MIX[:, 3]
    both = compose_colours(MIX, SHIFT)
    torch.testing.assert_close(both[:, :3] @ colour + both[:, 3], expected)
    other = compose_colours(SHIFT, MIX)
    assert not torch.allclose(other, both)


@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8])
def test_the_mean_colour_is_that_of_every_fourth_pixel(dtype: torch.dtype) -> None:
    image = picture(3, (13, 18), dtype)
    white = 255 if dtype == torch.uint8 else 1
    for channel, value in enumerate(mean_colour(image).tolist()):
        seen = [float(image[channel, y, x]) / white for y in range(0, 13, 4) for x in range(0, 18, 4)]
        assert value == pytest.approx(sum(seen) / len(seen), abs=1e-6)
