"""CARAFE against a loop over pixels."""

from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from densepred.types import UserError
from densepred.upsample.carafe import Carafe, reassemble


def slow(x: Tensor, weights: Tensor, factor: int, kernel: int) -> Tensor:
    """The paper's equations (2) and (4), pixel by pixel; weights (B, k^2, f h, f w)."""
    batch, channels, height, width = x.shape
    y = torch.zeros(batch, channels, height * factor, width * factor, dtype=x.dtype)
    for b, row, column in itertools.product(range(batch), range(height * factor), range(width * factor)):
        for n, m in itertools.product(range(kernel), repeat=2):
            i, j = row // factor + n - kernel // 2, column // factor + m - kernel // 2
            if 0 <= i < height and 0 <= j < width:
                y[b, :, row, column] += weights[b, n * kernel + m, row, column] * x[b, :, i, j]
    return y


@pytest.mark.parametrize(("factor", "kernel"), [(1, 3), (2, 5), (2, 1), (3, 3)])
def test_it_equals_a_slow_loop(factor: int, kernel: int) -> None:
    torch.manual_seed(0)
    up = Carafe(4, 4, None, factor, kernel, compressed=6).double()
    torch.nn.init.normal_(up.encode.weight)
    x = torch.randn(2, 4, 4, 5, dtype=torch.float64)
    encoded = F.conv2d(F.conv2d(x, up.compress.weight, up.compress.bias), up.encode.weight, padding="same")
    weights = F.pixel_shuffle(encoded, factor).softmax(1)
    size = (4 * factor, 5 * factor)
    torch.testing.assert_close(up(x, size, None), slow(x, weights, factor, kernel))


def test_gradients() -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 2, 3, 2, dtype=torch.float64, requires_grad=True)
    weights = torch.rand(1, 9, 4, 3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(reassemble, (x, weights))


def test_changing_the_width_first_gives_the_same_values() -> None:
    torch.manual_seed(0)
    up = Carafe(6, 3, None).double()
    torch.nn.init.zeros_(up.project.bias)  # pyright: ignore[reportArgumentType]
    x = torch.randn(1, 6, 5, 4, dtype=torch.float64)
    wide = Carafe(6, 6, None).double()
    wide.load_state_dict({k: v for k, v in up.state_dict().items() if "project" not in k})
    torch.testing.assert_close(up(x, (10, 8), None), up.project(wide(x, (10, 8), None)))


def test_the_first_outputs_are_nearly_flat_means() -> None:
    torch.manual_seed(0)
    x = torch.rand(1, 8, 9, 9)
    mean = F.interpolate(F.avg_pool2d(x, 5, 1, 2), scale_factor=2)
    torch.testing.assert_close(Carafe(8, 8, None)(x, (18, 18), None), mean, rtol=0, atol=0.02)


def test_the_backward_pass_keeps_no_gathered_neighbours() -> None:
    x = torch.rand(1, 32, 24, 24, requires_grad=True)
    weights = torch.rand(1, 25, 4, 24, 24, requires_grad=True)
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        y = reassemble(x, weights)
    gathered = 25 * x.numel() * 4
    assert sum(kept.values()) < 0.5 * gathered
    y.sum().backward()


def test_an_even_kernel_is_refused() -> None:
    with pytest.raises(UserError, match=r"upsample\.kernel: 4; give an odd number"):
        Carafe(2, 2, None, kernel=4)
    with pytest.raises(UserError, match=r"upsample\.encoder_kernel: 2; give an odd number"):
        Carafe(2, 2, None, encoder_kernel=2)
