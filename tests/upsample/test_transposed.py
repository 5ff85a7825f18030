from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from densepred.types import UserError
from densepred.upsample.transposed import Transposed


def test_a_kernel_with_gaps_and_a_padding_below_0_are_refused() -> None:
    with pytest.raises(UserError, match=r"upsample\.padding: -1; give 0 or more, or null"):
        Transposed(2, 2, None, padding=-1)
    with pytest.raises(UserError, match=r"upsample\.kernel: 1 leaves gaps at factor 2"):
        Transposed(2, 2, None, kernel=1)


def test_a_size_beyond_reach_is_refused_with_the_remedy() -> None:
    up = Transposed(2, 2, None, kernel=2, padding=1)
    with pytest.raises(UserError, match=r"makes 6x6, not 9x9; raise upsample\.kernel or lower upsample\.padding"):
        up(torch.rand(1, 2, 4, 4), (9, 9), None)


@pytest.mark.parametrize(("kernel", "padding"), [(2, 0), (3, 1), (4, 1), (5, 2)])
def test_the_scale_of_the_input_is_kept_by_the_first_weights(kernel: int, padding: int) -> None:
    torch.manual_seed(0)
    y = Transposed(256, 64, None, kernel=kernel, padding=padding)(torch.randn(1, 256, 16, 16), (32, 32), None)
    assert y.std().item() == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("factor", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("channels", [(3, 3), (4, 2)])
def test_bilinear_weights_interpolate_as_torch_does_away_from_the_border(
    factor: int, channels: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    up = Transposed(*channels, None, factor=factor, init="bilinear")
    x = torch.randn(1, channels[0], 5, 6)
    size = (5 * factor, 6 * factor)
    mixed = torch.einsum("nihw,io->nohw", x, up.conv.weight.sum((2, 3)) / factor**2)
    want = F.interpolate(mixed, size, mode="bilinear")
    inside = (..., slice(factor, -factor), slice(factor, -factor))
    torch.testing.assert_close(up(x, size, None)[inside], want[inside], rtol=1e-4, atol=1e-5)
    if channels[0] == channels[1]:
        torch.testing.assert_close(mixed, x)


def test_the_bilinear_kernel_is_that_of_fcn() -> None:
    expected = torch.tensor([1.0, 3, 3, 1]) / 4
    assert torch.equal(Transposed(2, 2, None, init="bilinear").conv.weight[0, 0], expected[:, None] * expected)
    expected = torch.tensor([1.0, 2, 3, 2, 1]) / 3
    torch.testing.assert_close(
        Transposed(2, 2, None, 3, init="bilinear").conv.weight[1, 1].data, expected[:, None] * expected
    )
    sixteen = Transposed(1, 1, None, 8, init="bilinear")
    assert (sixteen.conv.kernel_size, sixteen.padding) == ((16, 16), 4)


def test_an_unknown_first_weight_is_refused() -> None:
    with pytest.raises(UserError, match=r"unknown upsample\.init: biliner; did you mean bilinear"):
        Transposed(2, 2, None, init="biliner")
