"""Parts of images that a warp reads, and values at positions in them."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from densepred.ops.geometry.bilinear import Part, Sources, finished, read, sample
from densepred.ops.geometry.warp import Matrix

IDENTITY: Matrix = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))


def random(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("shrink", [None, (2, 1), (4, 2), (8, 16)])
@pytest.mark.parametrize("size", [(1, 1), (3, 16), (37, 45)])
def test_lengths_are_those_of_pooling(size: tuple[int, int], shrink: tuple[int, int] | None) -> None:
    pixels = random(2, *size)
    pooled = pixels if shrink is None else F.avg_pool2d(pixels, shrink, ceil_mode=True)
    assert Part(pixels, (0, 0), shrink).lengths == pooled.shape[-2:]


def test_a_part_has_the_values_of_the_whole_image() -> None:
    image, at = random(3, 40, 50), 12 + 9 * random(2, 6, 7)
    sources = Sources(at[0], at[1], None)
    part = read(image, IDENTITY, sources)
    assert part.pixels.numel() < image.numel() / 3
    whole = Part(image, (0, 0), None)
    torch.testing.assert_close(sample(part, sources, (6, 7)), sample(whole, sources, (6, 7)), atol=1e-5, rtol=0)


def test_every_second_position_gives_every_second_value() -> None:
    image, at, inside = random(3, 40, 50), 30 * random(2, 7, 9), random(7, 9) > 0.5
    sources = Sources(at[0], at[1], inside)
    part, few = read(image, IDENTITY, sources), sources.every(2)
    assert few.inside is not None
    assert torch.equal(few.inside, inside[::2, ::2])
    assert torch.equal(sample(part, few, (4, 5)), sample(part, sources, (7, 9))[:, ::2, ::2])


def test_values_are_filled_outside_and_rounded_as_bytes() -> None:
    out, inside = torch.tensor([[[0.4, 0.6, 254.5]]]), torch.tensor([[True, True, False]])
    fill = torch.tensor([7.5])
    assert finished(out.clone(), inside, fill, torch.uint8).tolist() == [[[0, 1, 8]]]
    assert torch.equal(finished(out.clone(), inside, fill, torch.float32), torch.tensor([[[0.4, 0.6, 7.5]]]))
    assert finished(out.clone(), None, None, torch.uint8).tolist() == [[[0, 1, 255]]]
