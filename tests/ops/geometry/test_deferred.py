"""Batches of deferred images, each computed as it would be alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from densepred.ops.geometry.deferral import deferred
from densepred.ops.geometry.recolour import recolour
from densepred.ops.geometry.warp import IDENTITY, Warp, locate, warp_image
from densepred.types import unit_scale

SIZE = (20, 24)
WARPS = (
    Warp(((0.9, -0.4, 9.0), (0.4, 1.1, -4.0)), SIZE),  # bent, beyond the image
    Warp(((0.6, 0.0, 3.2), (0.0, 0.7, 5.1)), SIZE),  # straight
    Warp(IDENTITY, SIZE),  # copied
    Warp(((2.4, 0.1, -9.0), (0.1, 1.2, 4.0)), SIZE),  # bent and averaged
    Warp(((2.4, 0.0, -9.0), (0.0, 4.2, 4.0)), SIZE),  # straight, averaged, beyond the image
    Warp(((0.5, -0.2, 9.0), (0.1, 0.4, 8.0)), SIZE),  # bent
)
CPU = torch.device("cpu")


def images(count: int, floats: bool = False) -> list[torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    found = [torch.randint(0, 256, (3, 37 + i, 45), dtype=torch.uint8, generator=draw) for i in range(count)]
    return [image / 255 if floats or index % 4 == 3 else image for index, image in enumerate(found)]


@pytest.mark.parametrize("floats", [False, True])
def test_images_of_all_ways_come_back_in_their_order(floats: bool) -> None:
    given = images(12, floats)
    warps = [WARPS[index % len(WARPS)] for index in range(12)]
    matrices = torch.randn(12, 3, 4, generator=torch.Generator().manual_seed(1)) / 3
    later, expected = [], []
    for image, warp, matrix in zip(given, warps, matrices, strict=True):
        one = deferred(image, warp, locate(warp, (image.shape[1], image.shape[2])))
        later.append(replace(one, colours=matrix))
        expected.append(unit_scale(recolour(warp_image(image, warp), matrix)))
    batch = later[0].stacked(later)
    assert (len(batch), batch.shape) == (12, (12, 3, *SIZE))
    assert len(batch.groups) == (3 if floats else 5)  # copied, straight and bent, and floats beside bytes
    assert torch.equal(batch.to(CPU), torch.stack(expected))


def test_images_without_colours_stay_those_of_their_warps() -> None:
    later = [
        deferred(image, warp, locate(warp, (37 + i, 45)))
        for i, (image, warp) in enumerate(zip(images(2), WARPS, strict=False))
    ]
    found = later[0].stacked(later).to(CPU)
    expected = [unit_scale(warp_image(image, warp)) for image, warp in zip(images(2), WARPS, strict=False)]
    assert torch.equal(found, torch.stack(expected))


def test_a_batch_holds_no_more_than_what_its_warps_read() -> None:
    image = torch.zeros(3, 400, 500, dtype=torch.uint8)
    one = deferred(image, WARPS[1], locate(WARPS[1], (400, 500)))
    assert one.stacked([one]).buffer.numel() < 4000
