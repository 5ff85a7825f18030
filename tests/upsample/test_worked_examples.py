"""The textbook's small examples of upsampling, through the components themselves."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from densepred.upsample.bilinear import Bilinear
from densepred.upsample.nearest import Nearest
from densepred.upsample.transposed import Transposed
from densepred.upsample.unpool import Unpool

SMALL = torch.tensor([[[[10.0, 20.0], [30.0, 40.0]]]])


def rows(x: Tensor) -> list[list[float]]:
    return x[0, 0].tolist()


def half_up(x: Tensor) -> Tensor:
    return torch.floor(x + 0.5 + 1e-4)


def test_nearest_repeats() -> None:
    expected = [[10, 10, 20, 20], [10, 10, 20, 20], [30, 30, 40, 40], [30, 30, 40, 40]]
    assert rows(Nearest(1, 1, None)(SMALL, (4, 4), None)) == expected


def test_bilinear_that_keeps_corner_centres() -> None:
    large = Bilinear(1, 1, None, align_corners=True)(SMALL, (4, 4), None)
    assert rows(half_up(large)) == [[10, 13, 17, 20], [17, 20, 23, 27], [23, 27, 30, 33], [30, 33, 37, 40]]
    assert large[0, 0, 1, 1].item() == pytest.approx(20, abs=1e-5)
    assert large[0, 0, 0, 1].item() == pytest.approx(40 / 3, abs=1e-5)
    assert large[0, 0, 3, 1].item() == pytest.approx(100 / 3, abs=1e-5)


def test_bilinear_that_keeps_edges() -> None:
    large = Bilinear(1, 1, None)(SMALL, (4, 4), None)
    assert rows(half_up(large)) == [[10, 13, 18, 20], [15, 18, 23, 25], [25, 28, 33, 35], [30, 33, 38, 40]]


@pytest.mark.parametrize(
    ("stride", "padding", "expected"),
    [
        (1, 0, [[6, 14, 4], [2, 17, 21], [0, 1, 5]]),
        (1, 1, [[17]]),
        (2, 0, [[6, 2, 12, 4], [2, 10, 4, 20], [0, 0, 3, 1], [0, 0, 1, 5]]),
        (2, 1, [[10, 4], [0, 3]]),
    ],
)
def test_transposed_convolution(stride: int, padding: int, expected: list[list[int]]) -> None:
    up = Transposed(1, 1, None, factor=stride, kernel=2, padding=padding)
    with torch.no_grad():
        up.conv.weight.copy_(torch.tensor([[[[3.0, 1.0], [1.0, 5.0]]]]))
    x = torch.tensor([[[[2.0, 4.0], [0.0, 1.0]]]])
    assert rows(up(x, (len(expected), len(expected[0])), None)) == expected


def test_a_3x3_kernel_at_stride_2_overlaps_in_its_third_tap() -> None:
    up = Transposed(1, 1, None, factor=2, kernel=3)
    (a, b), (x11, x12, x13) = (2.0, 3.0), (5.0, 7.0, 11.0)
    with torch.no_grad():
        up.conv.weight[0, 0, 0] = torch.tensor([x11, x12, x13])
    first = up(torch.tensor([[[[a, b], [13.0, 17.0]]]]), (5, 5), None)[0, 0, 0]
    assert first.tolist() == [a * x11, a * x12, a * x13 + b * x11, b * x12, b * x13]


def test_unpool_puts_maxima_back() -> None:
    x = torch.tensor([[[[1.0, 5.0, 2.0, 0.0], [3.0, 4.0, 1.0, 6.0], [7.0, 0.0, 0.0, 1.0], [2.0, 1.0, 9.0, 3.0]]]])
    small, indices = torch.nn.functional.max_pool2d(x, 2, return_indices=True)
    expected = [[0, 5, 0, 0], [0, 0, 0, 6], [7, 0, 0, 0], [0, 0, 9, 0]]
    assert rows(Unpool(1, 1, 1)(small, (4, 4), indices)) == expected
