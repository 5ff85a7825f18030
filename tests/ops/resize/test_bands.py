from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from densepred.ops.resize.bands import Enlarger

CASES = [
    ((6, 8), (24, 32), False),
    ((6, 8), (18, 24), False),
    ((5, 7), (80, 112), False),
    ((3, 37), (72, 37), False),
    ((10, 12), (37, 45), False),
    ((10, 12), (37, 45), True),
    ((6, 8), (24, 32), True),
    ((6, 8), (6, 16), False),
    ((3, 40), (6, 80), False),  # several blocks of columns
    ((6, 8), (6, 8), True),
    ((1, 1), (8, 3), False),
    ((9, 8), (4, 3), False),
]


@pytest.mark.parametrize(("source", "size", "align_corners"), CASES)
@pytest.mark.parametrize("most", [1, 5, 16, 1000])
def test_bands_together_are_bilinear_interpolation_and_its_adjoint(
    source: tuple[int, int], size: tuple[int, int], align_corners: bool, most: int
) -> None:
    x = torch.randn(2, 3, *source, dtype=torch.float64, requires_grad=True)
    wanted = F.interpolate(x, size, mode="bilinear", align_corners=align_corners)
    gradient = torch.randn(2, 3, *size, dtype=torch.float64)
    enlarger = Enlarger(source, size, align_corners, torch.float64, x.device)
    bands = enlarger.bands(most)
    assert [row for a, b in bands for row in range(a, b)] == list(range(size[0]))
    back = torch.zeros(2, 3, *source, dtype=torch.float64)
    with torch.no_grad():
        for a, b in bands:
            torch.testing.assert_close(enlarger.enlarge(x, a, b), wanted[:, :, a:b])
            softmax = enlarger.exponentials(x, a, b)
            assert softmax is not None
            torch.testing.assert_close(softmax / softmax.sum(1, keepdim=True), wanted[:, :, a:b].softmax(1))
            enlarger.add_adjoint(back, gradient[:, :, a:b], a, b)
    torch.testing.assert_close(back, torch.autograd.grad(wanted, x, gradient)[0])


def test_exponentials_are_refused_where_they_would_vanish() -> None:
    enlarger = Enlarger((2, 2), (8, 8), False, torch.float32, torch.device("cpu"))
    x = torch.zeros(1, 2, 2, 2)
    assert enlarger.exponentials(x - torch.tensor([0.0, 70.0])[:, None, None], 0, 8) is not None
    assert enlarger.exponentials(x - torch.tensor([0.0, 90.0])[:, None, None], 0, 8) is None
    assert enlarger.exponentials(x * float("nan"), 0, 8) is None
