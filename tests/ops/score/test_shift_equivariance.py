from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from densepred.ops.score.shift_equivariance import SHIFTS, shift_equivariance


def bright(image: Tensor) -> Tensor:
    return (image.mean(1) > 0.5).to(torch.uint8)


def pooled(image: Tensor) -> Tensor:
    """Predict one class per block of 4x4 pixels, so that the origin of the blocks matters."""
    small = F.avg_pool2d(image, 4, ceil_mode=True)
    return bright(F.interpolate(small, scale_factor=4)[..., : image.shape[-2], : image.shape[-1]])


def slow(image: Tensor, shifts: tuple[tuple[int, int], ...]) -> float:
    """Pixel by pixel for one image and `pooled`."""
    height, width = image.shape[-2:]
    down, right = (max(shift[i] for shift in shifts) for i in (0, 1))
    answers = {
        (dy, dx): pooled(image[..., dy : height - down + dy, dx : width - right + dx])[0]
        for dy, dx in ((0, 0), *shifts)
    }
    shares = []
    for dy, dx in shifts:
        equal = [
            answers[0, 0][y, x] == answers[dy, dx][y - dy, x - dx]
            for y in range(down, height - down)
            for x in range(right, width - right)
        ]
        shares.append(sum(map(float, equal)) / len(equal))
    return sum(shares) / len(shares)


def test_a_prediction_from_pixels_moves_with_them() -> None:
    torch.manual_seed(0)
    image = torch.rand(2, 3, 33, 41)
    assert shift_equivariance(bright, image).tolist() == [1, 1]


def test_it_equals_a_slow_count() -> None:
    torch.manual_seed(0)
    image = torch.rand(2, 3, 33, 41)
    have = shift_equivariance(pooled, image)
    assert have.tolist() == [pytest.approx(slow(one[None], SHIFTS)) for one in image]
    assert have.max() < 0.9


def test_shifts_by_whole_cells_change_nothing() -> None:
    torch.manual_seed(0)
    image = torch.rand(1, 3, 40, 48)
    assert shift_equivariance(pooled, image, [(4, 8), (8, 0)]).item() == 1
    assert shift_equivariance(pooled, image, [(4, 8), (2, 0)]).item() < 1


def test_a_prediction_from_the_place_does_not_move() -> None:
    def columns(image: Tensor) -> Tensor:
        return torch.arange(image.shape[-1]).expand(len(image), *image.shape[-2:]) % 2

    assert shift_equivariance(columns, torch.rand(1, 1, 32, 32), [(0, 1), (1, 0), (1, 1), (0, 2)]).item() == 0.5


def test_small_images_are_shifted_less_or_not_at_all() -> None:
    shapes = []

    def classes(image: Tensor) -> Tensor:
        shapes.append(tuple(image.shape[-2:]))
        return bright(image)

    assert shift_equivariance(classes, torch.rand(1, 1, 6, 30)).item() == 1
    assert set(shapes) == {(5, 29)}, "only shifts of one pixel fit six rows"
    assert shift_equivariance(bright, torch.rand(2, 1, 3, 3)).isnan().all()
