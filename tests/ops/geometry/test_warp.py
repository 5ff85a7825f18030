"""Moves against torchvision, scipy and slow loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torchvision.transforms.v2.functional as V
from scipy import ndimage

from densepred.ops.geometry.warp import (
    IDENTITY,
    Matrix,
    Warp,
    compose,
    invert,
    scaling,
    unmirrored,
    warp_image,
    warp_labels,
    warp_points,
)

ROTATION: Matrix = ((0.90137, -0.43119, 12.3171), (0.38213, 1.10713, -4.7131))


def picture(height: int = 37, width: int = 45, channels: int = 3, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    values = torch.rand(channels, height, width, generator=torch.Generator().manual_seed(0))
    return values if dtype == torch.float32 else (values * 255).round().to(dtype)


def slow_nearest(labels: torch.Tensor, warp: Warp, fill: int) -> torch.Tensor:
    out = torch.full(warp.size, fill, dtype=labels.dtype)
    (a, b, c), (d, e, f) = warp.matrix
    for y in range(warp.size[0]):
        for x in range(warp.size[1]):
            u, v = (x, y) if warp.flow is None else (x + float(warp.flow[0, y, x]), y + float(warp.flow[1, y, x]))
            column, row = math.floor(a * u + b * v + c + 0.5), math.floor(d * u + e * v + f + 0.5)
            if 0 <= row < labels.shape[0] and 0 <= column < labels.shape[1]:
                out[y, x] = labels[row, column]
    return out


def slow_bilinear(image: torch.Tensor, warp: Warp, fill: float) -> torch.Tensor:
    (a, b, c), (d, e, f) = warp.matrix
    y, x = np.mgrid[: warp.size[0], : warp.size[1]].astype(float)
    if warp.flow is not None:
        x, y = x + warp.flow[0].numpy(), y + warp.flow[1].numpy()
    u, v = a * x + b * y + c, d * x + e * y + f
    out = np.stack([ndimage.map_coordinates(layer, [v, u], order=1, mode="nearest") for layer in image.numpy()])
    height, width = image.shape[1:]
    outside = (u < -0.5) | (u >= width - 0.5) | (v < -0.5) | (v >= height - 0.5)
    return torch.from_numpy(np.where(outside, fill, out)).float()


def flow(size: tuple[int, int]) -> torch.Tensor:
    y, x = torch.meshgrid(torch.arange(size[0]) / 9, torch.arange(size[1]) / 11, indexing="ij")
    return torch.stack((2 * torch.sin(y + x), 3 * torch.cos(x - y)))


@pytest.mark.parametrize("with_flow", [False, True])
@pytest.mark.parametrize("size", [(37, 45), (20, 61), (1, 1)])
def test_a_rotation_samples_as_scipy_does(size: tuple[int, int], with_flow: bool) -> None:
    warp = Warp(ROTATION, size, flow(size) if with_flow else None)
    image = picture()
    torch.testing.assert_close(
        warp_image(image, warp, torch.full((3,), 0.25)), slow_bilinear(image, warp, 0.25), atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("with_flow", [False, True])
@pytest.mark.parametrize("matrix", [ROTATION, IDENTITY, ((0.70131, 0.0, -3.2171), (0.0, -1.30717, 40.1313))])
def test_labels_come_from_the_nearest_pixel_and_void_from_outside(matrix: Matrix, with_flow: bool) -> None:
    labels = torch.randint(0, 9, (37, 45), generator=torch.Generator().manual_seed(1)).to(torch.uint8)
    warp = Warp(matrix, (41, 33), flow((41, 33)) if with_flow else None)
    assert torch.equal(warp_labels(labels, warp, 255), slow_nearest(labels, warp, 255))


@pytest.mark.parametrize("size", [(19, 90), (74, 90), (37, 45), (1, 3)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8])
def test_a_resize_equals_torchvisions(size: tuple[int, int], dtype: torch.dtype) -> None:
    image, warp = picture(dtype=dtype), Warp(scaling((37, 45), size), size)
    expected = V.resize(image, list(size), antialias=True)
    torch.testing.assert_close(warp_image(image, warp), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", [(19, 90), (74, 31), (37, 45), (111, 30), (5, 27)])
def test_resized_labels_equal_torchvisions_nearest_exact(size: tuple[int, int]) -> None:
    labels = torch.randint(0, 200, (37, 45), generator=torch.Generator().manual_seed(1)).to(torch.uint8)
    expected = V.resize(labels[None], list(size), V.InterpolationMode.NEAREST_EXACT)[0]
    assert torch.equal(warp_labels(labels, Warp(scaling((37, 45), size), size), 255), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8])
def test_shifts_and_flips_copy_pixels_exactly(dtype: torch.dtype) -> None:
    image = picture(dtype=dtype)
    flipped = Warp(((-1.0, 0.0, 44.0), (0.0, 1.0, 0.0)), (37, 45))
    assert torch.equal(warp_image(image, flipped), image.flip(2))
    both = Warp(((-1.0, 0.0, 40.0), (0.0, -1.0, 30.0)), (20, 25))
    assert torch.equal(warp_image(image, both), image.flip(1, 2)[:, 6:26, 4:29])
    crop = Warp(((1.0, 0.0, 5.0), (0.0, 1.0, 7.0)), (10, 11))
    assert torch.equal(warp_image(image, crop), image[:, 7:17, 5:16])


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("shift", [-60.0, -3.0, 0.0, 3.0, 40.0, 44.0, 100.0])
def test_what_lies_outside_is_filled(sign: float, shift: float) -> None:
    image, fill = picture(dtype=torch.uint8), torch.tensor([1.0, 2.0, 3.0])
    warp = Warp(((sign, 0.0, shift), (0.0, sign, shift)), (50, 51))
    expected = torch.stack([slow_nearest(layer, warp, int(value)) for layer, value in zip(image, fill, strict=True)])
    assert torch.equal(warp_image(image, warp, fill), expected)


def test_by_default_the_images_mean_fills_what_lies_outside() -> None:
    image = torch.full((2, 9, 9), 77, dtype=torch.uint8)
    for matrix in (((1.0, 0.0, -5.0), (0.0, 1.0, 0.0)), ROTATION):
        assert (warp_image(image, Warp(matrix, (30, 30))) == 77).all()


def test_shrinking_averages_whole_blocks() -> None:
    image = picture(32, 64)
    warp = Warp(compose(scaling((32, 64), (8, 16)), ((1.0, 0.0, 2.0), (0.0, 1.0, 1.0))), (6, 9))
    expected = torch.nn.functional.avg_pool2d(image, 4)[:, 1:7, 2:11]
    torch.testing.assert_close(warp_image(image, warp), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_bytes_shrink_to_one_pixel_as_floats_do(channels: int) -> None:
    image, warp = picture(channels=channels, dtype=torch.uint8), Warp(scaling((37, 45), (1, 1)), (1, 1))
    torch.testing.assert_close(warp_image(image, warp).float(), warp_image(image.float(), warp), atol=1, rtol=0)


def test_points_follow_the_pixels_they_lie_on() -> None:
    points = torch.tensor([[3.0, 4.0], [40.25, 30.5], [0.0, 0.0]])
    for warp in (Warp(ROTATION, (37, 45)), Warp(ROTATION, (37, 45), flow((37, 45)))):
        there = warp_points(points, warp).double()
        x, y = there.T
        if warp.flow is not None:
            at = [
                ndimage.map_coordinates(layer, [y, x], order=1, mode="nearest") for layer in warp.flow.double().numpy()
            ]
            x, y = x + torch.from_numpy(at[0]), y + torch.from_numpy(at[1])
        (a, b, c), (d, e, f) = warp.matrix
        back = torch.stack((a * x + b * y + c, d * x + e * y + f), 1)
        torch.testing.assert_close(back, points.double(), atol=1e-3, rtol=0)


def test_a_mirrored_warp_with_a_flow_is_the_mirror_image() -> None:
    mirror: Matrix = ((-0.9, 0.1, 40.0), (0.0, 1.1, -1.0))
    image, warp = picture(), Warp(mirror, (31, 43), flow((31, 43)))
    straight = warp_image(image, unmirrored(warp))
    torch.testing.assert_close(straight.flip(-1), warp_image(image, warp))


def test_a_map_and_its_inverse_cancel() -> None:
    torch.testing.assert_close(torch.tensor(compose(ROTATION, invert(ROTATION))), torch.tensor(IDENTITY))


def test_a_composed_map_moves_points_as_both_do_in_turn() -> None:
    labels = torch.randint(0, 9, (37, 45), generator=torch.Generator().manual_seed(1)).to(torch.uint8)
    first, second = (
        Warp(((1.0, 0.0, 3.0), (0.0, 1.0, 2.0)), (30, 40)),
        Warp(((-1.0, 0.0, 39.0), (0.0, 1.0, 0.0)), (30, 40)),
    )
    fused = Warp(compose(first.matrix, second.matrix), second.size)
    assert torch.equal(warp_labels(labels, fused, 255), warp_labels(warp_labels(labels, first, 255), second, 255))


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (3, 2)])
def test_tiny_images_can_be_moved_anywhere(size: tuple[int, int]) -> None:
    image, labels = picture(*size, channels=5), torch.zeros(size, dtype=torch.uint8)
    for matrix in (IDENTITY, ROTATION, scaling(size, (7, 9)), ((5.0, 0.0, 1.0), (0.0, 9.0, 2.0))):
        warp = Warp(matrix, (7, 9))
        assert warp_image(image, warp).shape == (5, 7, 9)
        assert torch.equal(warp_labels(labels, warp, 255), slow_nearest(labels, warp, 255))
