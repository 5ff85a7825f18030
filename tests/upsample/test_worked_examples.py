"""The textbook's small examples of upsampling, through the components themselves."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from densepred.upsample.bilinear import Bilinear
from densepred.upsample.bilinear_matmul import BilinearMatmul
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


@pytest.mark.parametrize("kind", [Bilinear, BilinearMatmul])
def test_bilinear_that_keeps_corner_centers(kind: type[Bilinear | BilinearMatmul]) -> None:
    large = kind(1, 1, None, align_corners=True)(SMALL, (4, 4), None)
    assert rows(half_up(large)) == [[10, 13, 17, 20], [17, 20, 23, 27], [23, 27, 30, 33], [30, 33, 37, 40]]


@pytest.mark.parametrize("kind", [Bilinear, BilinearMatmul])
def test_one_point_by_hand(kind: type[Bilinear | BilinearMatmul]) -> None:
    """(1, 1) lies a third of the way between pixels: first along the upper and lower side, then between these."""
    large = kind(1, 1, None, align_corners=True)(SMALL, (4, 4), None)[0, 0]
    upper, lower = 2 / 3 * 10 + 1 / 3 * 20, 2 / 3 * 30 + 1 / 3 * 40
    assert (upper, lower) == (pytest.approx(40 / 3), pytest.approx(100 / 3))
    assert large[0, 1].item() == pytest.approx(40 / 3, abs=1e-5)
    assert large[3, 1].item() == pytest.approx(100 / 3, abs=1e-5)
    assert large[1, 1].item() == pytest.approx(2 / 3 * upper + 1 / 3 * lower, abs=1e-5)
    assert large[1, 1].item() == pytest.approx(20, abs=1e-5)


@pytest.mark.parametrize("kind", [Bilinear, BilinearMatmul])
def test_bilinear_that_keeps_edges(kind: type[Bilinear | BilinearMatmul]) -> None:
    large = kind(1, 1, None)(SMALL, (4, 4), None)
    assert rows(half_up(large)) == [[10, 13, 18, 20], [15, 18, 23, 25], [25, 28, 33, 35], [30, 33, 38, 40]]


def test_a_transposed_convolution_can_interpolate() -> None:
    large = Transposed(1, 1, None, init="bilinear")(SMALL, (4, 4), None)
    assert rows(half_up(large[..., 1:3, 1:3])) == [[18, 23], [28, 33]], "the edges lack neighbours"


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


def test_a_3x3_kernel_at_stride_2_in_letters() -> None:
    """[[a, b], [c, d]] with x11 to x33. The layer is linear in both, so one of each at a time tells every product."""
    up = Transposed(1, 9, None, factor=2, kernel=3, padding=0, bias=False)
    with torch.no_grad():
        up.conv.weight.copy_(torch.eye(9).view(1, 9, 3, 3))
    y = up(torch.eye(4).view(4, 1, 2, 2), (5, 5), None)
    assert set(y.flatten().tolist()) == {0.0, 1.0}

    def term(row: int, column: int) -> str:
        return " + ".join(f"{'abcd'[i]} x{n // 3 + 1}{n % 3 + 1}" for i, n in y[:, :, row, column].nonzero().tolist())

    assert [[term(row, column) for column in range(5)] for row in range(5)] == [
        ["a x11", "a x12", "a x13 + b x11", "b x12", "b x13"],
        ["a x21", "a x22", "a x23 + b x21", "b x22", "b x23"],
        ["a x31 + c x11", "a x32 + c x12", "a x33 + b x31 + c x13 + d x11", "b x32 + d x12", "b x33 + d x13"],
        ["c x21", "c x22", "c x23 + d x21", "d x22", "d x23"],
        ["c x31", "c x32", "c x33 + d x31", "d x32", "d x33"],
    ]


def test_unpool_puts_maxima_back() -> None:
    x = torch.tensor([[[[1.0, 5.0, 2.0, 0.0], [3.0, 4.0, 1.0, 6.0], [7.0, 0.0, 0.0, 1.0], [2.0, 1.0, 9.0, 3.0]]]])
    small, indices = torch.nn.functional.max_pool2d(x, 2, return_indices=True)
    expected = [[0, 5, 0, 0], [0, 0, 0, 6], [7, 0, 0, 0], [0, 0, 9, 0]]
    assert rows(Unpool(1, 1, 1)(small, (4, 4), indices)) == expected
