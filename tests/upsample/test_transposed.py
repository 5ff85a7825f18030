from __future__ import annotations

import pytest
import torch

from densepred.types import UserError
from densepred.upsample.transposed import Transposed


def test_a_kernel_with_gaps_is_refused() -> None:
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
